#include "datasets/readers/listing_cache.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <system_error>

#include "datasets/readers/digest_lines.h"
#include "engine/base/byte_reader.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kind = "retort-listing", version = "1";

bool one_line(const std::string& name) {
  return name.find('\n') == name.npos;
}

// Where a listing is kept; empty without a cache folder.
fs::path place_of(const fs::path& folder, const std::string& test_labels) {
  const fs::path cache = cache_folder();
  std::error_code error;
  const std::string place = fs::canonical(folder, error).string();
  if (cache.empty() || error) return {};
  const std::string labels = test_labels.empty() ? "" : fs::absolute(test_labels).string();
  return cache / "folders" / digest_of(place + "\n" + labels);
}

// A folder that was changed a moment ago can change again within the same tick of its clock.
bool settled(const FolderListing& listing) {
  const auto now = fs::file_time_type::clock::now();
  const int64_t recent = int64_t((now - std::chrono::seconds(2)).time_since_epoch().count());
  return std::all_of(listing.stamps.begin(), listing.stamps.end(),
                     [&](const FolderStamp& stamp) { return stamp.time != 0 && stamp.time < recent; });
}

}  // namespace

std::string listing_text(const FolderListing& listing) {
  std::string all = text(kind, " ", version, "\ntiny ", listing.tiny_imagenet ? 1 : 0, "\n");
  const auto part = [&](const char* word, const std::vector<FolderListing::File>& files) {
    all += text(word, " ", files.size(), "\n");
    for (const FolderListing::File& file : files) {
      all += std::to_string(file.label) + " " + std::to_string(file.bytes) + " ";
      all += file.path + "\n";
    }
  };
  all += text("stamps ", listing.stamps.size(), "\n");
  for (const FolderStamp& stamp : listing.stamps) all += std::to_string(stamp.time) + " " + stamp.path + "\n";
  all += text("classes ", listing.class_names.size(), "\n");
  for (const std::string& name : listing.class_names) all += name + "\n";
  part("train", listing.train);
  part("test", listing.test);
  return with_digest(std::move(all));
}

FolderListing read_listing(const std::string& content, const std::string& name) {
  DigestLines lines(content, name);
  check(lines.value(kind) == version, Fault::input, name, ": a listing of another version");
  FolderListing listing;
  const std::string tiny = lines.value("tiny");
  check(tiny == "0" || tiny == "1", Fault::input, name, ": tiny ", in_quotes(tiny), ", expected 0 or 1");
  listing.tiny_imagenet = tiny == "1";
  for (size_t n = lines.count("stamps"); n > 0; --n) {
    lines.next();
    const auto time = lines.number<int64_t>();
    listing.stamps.push_back({lines.rest(), time});
  }
  for (size_t n = lines.count("classes"); n > 0; --n) {
    lines.next();
    listing.class_names.push_back(lines.rest());
  }
  const auto part = [&](const char* word, std::vector<FolderListing::File>& files) {
    size_t n = lines.count(word);
    files.reserve(n);
    for (; n > 0; --n) {
      lines.next();
      FolderListing::File file;
      file.label = lines.number<int32_t>();
      file.bytes = lines.number<int64_t>();
      file.path = lines.rest();
      check(file.label >= 0 && size_t(file.label) < listing.class_names.size() && file.bytes >= 0,
            Fault::input, name, ": a file of class ", file.label, " and ", file.bytes, " bytes");
      files.push_back(std::move(file));
    }
  };
  part("train", listing.train);
  part("test", listing.test);
  return listing;
}

FolderListing cached_listing(const fs::path& folder, const std::string& test_labels) {
  if (const auto kept = read_text_if_readable(place_of(folder, test_labels))) {
    try {
      FolderListing listing = read_listing(*kept, folder.string());
      if (std::all_of(listing.stamps.begin(), listing.stamps.end(),
                      [&](const FolderStamp& stamp) { return stamp_of(folder / stamp.path) == stamp.time; }))
        return listing;
    } catch (const Error& damaged) {
      if (damaged.fault() != Fault::input) throw;  // written anew
    }
  }
  return renewed_listing(folder, test_labels);
}

FolderListing renewed_listing(const fs::path& folder, const std::string& test_labels) {
  FolderListing listing = list_folder(folder, test_labels);
  const fs::path file = place_of(folder, test_labels);
  if (file.empty()) return listing;
  const auto names = [](const std::vector<FolderListing::File>& files) {
    return std::all_of(files.begin(), files.end(), [](const auto& f) { return one_line(f.path); });
  };
  const bool writable = names(listing.train) && names(listing.test) &&
                        std::all_of(listing.stamps.begin(), listing.stamps.end(),
                                    [](const FolderStamp& stamp) { return one_line(stamp.path); });
  std::error_code error;
  if (writable && settled(listing)) {
    fs::create_directories(file.parent_path(), error);
    write_cached(file, listing_text(listing));
  } else {
    fs::remove(file, error);
  }
  return listing;
}

}  // namespace retort
