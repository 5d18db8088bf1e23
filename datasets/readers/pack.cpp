#include "datasets/readers/pack.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <utility>

#include "datasets/readers/digest_lines.h"
#include "datasets/readers/folder.h"
#include "datasets/readers/listing_cache.h"
#include "engine/base/atomic_file.h"
#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/descriptor.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/utf8.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kind = "retort-pack", version = "1";

fs::path part_of(const fs::path& file, size_t part) {
  return file.string() + "." + std::to_string(part);
}

std::string hash_of_bytes(std::span<const uint8_t> bytes) {
  return hash_of(std::as_bytes(bytes));
}

// Writes pictures end to end, a file after the other.
class PartWriter {
 public:
  PartWriter(fs::path file, int64_t part_bytes) : file_(std::move(file)), part_bytes_(part_bytes) {}

  PackIndex::Place write(std::span<const uint8_t> bytes) {
    const auto size = int64_t(bytes.size());
    if (parts_.empty() || (parts_.back() > 0 && parts_.back() + size > part_bytes_)) {
      end();
      out_ = std::make_unique<AtomicFile>(part_of(file_, parts_.size()));
      parts_.push_back(0);
    }
    out_->write(std::as_bytes(bytes));
    const PackIndex::Place place{int32_t(parts_.size() - 1), parts_.back(), hash_of_bytes(bytes)};
    parts_.back() += size;
    return place;
  }
  void end() {
    if (out_) out_->commit();
    out_.reset();
  }
  const std::vector<int64_t>& parts() const { return parts_; }

 private:
  fs::path file_;
  int64_t part_bytes_;
  std::vector<int64_t> parts_;
  std::unique_ptr<AtomicFile> out_;
};

// Not mapped into memory: what shortens a mapped file ends every program that reads it.
class PackedParts {
 public:
  PackedParts(const fs::path& file, const std::vector<int64_t>& sizes) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const fs::path path = part_of(file, i);
      names_.push_back(path.string());
      files_.emplace_back(path, O_RDONLY | O_NONBLOCK);  // a pipe has no writer to wait for
      check(files_.back().is_open(), Fault::input, path.string(), ": cannot be opened: ", reason_of(errno),
            "; it is a part of the pack ", file.string());
      check(files_.back().size() == sizes[i], Fault::input, path.string(), ": ",
            with_commas(files_.back().size()), " bytes, expected ", with_commas(sizes[i]), " by its index ",
            file.string());
    }
  }

  std::span<const uint8_t> read(const PackIndex::Place& place, int64_t bytes, const std::string& picture,
                                std::vector<uint8_t>& scratch) const {
    scratch.resize(size_t(bytes));
    const std::string& name = names_[size_t(place.part)];
    check(files_[size_t(place.part)].read_at(scratch.data(), scratch.size(), place.offset), Fault::input,
          name, ": the ", bytes, " bytes of ", in_quotes(picture), " at byte ", with_commas(place.offset),
          " cannot be read");
    check(hash_of_bytes(scratch) == place.hash, Fault::input, name, ": ", in_quotes(picture), " at byte ",
          with_commas(place.offset), " is not what was packed; the file is damaged");
    return scratch;
  }

 private:
  std::vector<std::string> names_;
  std::vector<Descriptor> files_;
};

PictureFiles::Bytes bytes_in_pack(const std::shared_ptr<const PackedParts>& parts,
                                  const std::vector<FolderListing::File>& files,
                                  const std::vector<PackIndex::Place>& places) {
  return [parts, files, places](int64_t i, std::vector<uint8_t>& scratch) {
    return parts->read(places[size_t(i)], files[size_t(i)].bytes, files[size_t(i)].path, scratch);
  };
}

}  // namespace

std::string index_text(const PackIndex& index) {
  std::string all = text(kind, " ", version, "\nname ", index.name, "\nparts ", index.parts.size(), "\n");
  for (const int64_t bytes : index.parts) all += std::to_string(bytes) + "\n";
  for (const auto* places : {&index.train, &index.test}) {
    all += text("places ", places->size(), "\n");
    for (const PackIndex::Place& place : *places)
      all += std::to_string(place.part) + " " + std::to_string(place.offset) + " " + place.hash + "\n";
  }
  const std::string listing = listing_text(index.listing);
  all += text("listing ", std::count(listing.begin(), listing.end(), '\n'), "\n") + listing;
  return with_digest(std::move(all));
}

PackIndex read_index(const std::string& content, const std::string& name) {
  check(content.starts_with(kind), Fault::input, name,
        ": is no pack; `retort data pack folder:DIR FILE` writes one");
  DigestLines lines(content, name);
  check(lines.value(kind) == version, Fault::input, name, ": a pack of another version");
  PackIndex index;
  index.name = lines.value("name");
  for (size_t n = lines.count("parts"); n > 0; --n) {
    lines.next();
    index.parts.push_back(lines.number<int64_t>());
    check(index.parts.back() >= 0, Fault::input, name, ": a part of ", index.parts.back(), " bytes");
  }
  for (auto* places : {&index.train, &index.test}) {
    for (size_t n = lines.count("places"); n > 0; --n) {
      lines.next();
      PackIndex::Place place;
      place.part = lines.number<int32_t>();
      place.offset = lines.number<int64_t>();
      place.hash = lines.rest();
      places->push_back(std::move(place));
    }
  }
  std::string listing;
  for (size_t n = lines.count("listing"); n > 0; --n) {
    lines.next();
    listing += lines.rest() + "\n";
  }
  index.listing = read_listing(listing, name);
  const auto check_places = [&](const std::vector<FolderListing::File>& files,
                                const std::vector<PackIndex::Place>& places) {
    check(files.size() == places.size(), Fault::input, name, ": ", places.size(), " places of ", files.size(),
          " pictures");
    for (size_t i = 0; i < files.size(); ++i) {
      const PackIndex::Place& place = places[i];
      const bool inside = place.part >= 0 && size_t(place.part) < index.parts.size() && place.offset >= 0 &&
                          files[i].bytes <= max_picture_file &&
                          place.offset <= index.parts[size_t(place.part)] &&
                          files[i].bytes <= index.parts[size_t(place.part)] - place.offset;
      check(inside, Fault::input, name, ": ", in_quotes(files[i].path), " lies outside of the pack's parts");
    }
  };
  check_places(index.listing.train, index.train);
  check_places(index.listing.test, index.test);
  check(!index.listing.train.empty() && !index.listing.test.empty(), Fault::input, name,
        ": holds no pictures");
  return index;
}

namespace {

void check_names(const PackIndex& index, const fs::path& folder) {
  check(index.name.find('\n') == std::string::npos && is_utf8(index.name), Fault::input,
        "data pack: ", in_quotes(folder.string()),
        ": its name has two lines or is no UTF-8, which an index cannot hold; rename the folder");
  for (const auto* files : {&index.listing.train, &index.listing.test}) {
    for (const FolderListing::File& one : *files)
      check(one.path.find('\n') == std::string::npos, Fault::input, in_quotes(one.path),
            ": a name of two lines, which an index cannot hold; rename the file");
  }
}

}  // namespace

PackedFolder pack_folder(const fs::path& folder, const fs::path& file, const std::string& test_labels,
                         int64_t part_bytes) {
  // An index over parts of which some are new would be worth nothing.
  check(!fs::is_regular_file(file), Fault::usage, "data pack: ", file.string(),
        " is there already; name another file, or remove it and its parts, ", file.string(), ".0 and so on");
  PackIndex index;
  index.listing = list_folder(folder, test_labels);
  index.name = name_of_folder(folder);
  check_names(index, folder);
  PackedFolder done;
  PartWriter out(file, part_bytes);
  std::vector<uint8_t> scratch;
  const auto pack = [&](const std::vector<FolderListing::File>& files,
                        std::vector<PackIndex::Place>& places) {
    const PictureFiles::Bytes bytes = bytes_in_folder(folder, files);
    for (size_t i = 0; i < files.size(); ++i) {
      const std::span<const uint8_t> content = bytes(int64_t(i), scratch);
      places.push_back(out.write(content));
      ++done.pictures;
      done.bytes += files[i].bytes;
    }
  };
  pack(index.listing.train, index.train);
  pack(index.listing.test, index.test);
  out.end();
  index.parts = out.parts();
  index.listing.stamps.clear();  // of the folder, which the pack does not need
  done.parts = int64_t(index.parts.size());
  write_file(file, index_text(index));
  return done;
}

DataSet read_pack(const fs::path& file, const DataOptions& options) {
  check(options.test_labels.empty(), Fault::usage, "data.val_labels is ", in_quotes(options.test_labels),
        ", and a pack holds the classes of its test images; give it to `retort data pack`");
  PackIndex index = read_index(read_text_file(file), file.string());
  const auto parts = std::make_shared<const PackedParts>(file, index.parts);
  PictureFiles::Bytes train = bytes_in_pack(parts, index.listing.train, index.train),
                      test = bytes_in_pack(parts, index.listing.test, index.test);
  return photo_set({"folder:" + index.name, file.string() + ": ", std::move(index.listing), std::move(train),
                    std::move(test)},
                   options);
}

}  // namespace retort
