#include "datasets/readers/folder.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "datasets/readers/digest_lines.h"
#include "datasets/readers/listing_cache.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

using File = FolderListing::File;

constexpr int64_t most_in_memory = int64_t(1) << 33;  // bytes of a part

constexpr std::array tiny_mean{.4802f, .4481f, .3975f}, tiny_deviation{.2302f, .2265f, .2262f};

std::vector<std::string> names_of(const std::vector<File>& files) {
  std::vector<std::string> names;
  names.reserve(files.size());
  for (const File& file : files) names.push_back(file.path);
  return names;
}

int64_t largest_of(const std::vector<File>& files) {
  int64_t largest = 0;
  for (const File& file : files) largest = std::max(largest, file.bytes);
  return largest;
}

// Whether all pictures of a part, as far as they can be read, are squares of one side of at most 64 pixels;
// side 0: of the first one's.
bool are_small_squares(const ImageSet& set, const DataOptions& options, int& side) {
  std::atomic<int> common{side};
  std::atomic<bool> same{true};
  for_each_picture(set.size(), options.threads, options.decoder, [&](int64_t i, PictureReader& reader) {
    try {
      const PictureSize size = set.pictures->measure(i, reader);
      int first = 0;
      common.compare_exchange_strong(first, size.height);
      if (size.height != size.width || size.height != common || size.height > largest_in_memory) same = false;
    } catch (const Error& error) {
      if (error.fault() != Fault::input || !set.skips_bad) throw;
    }
    return bool(same);
  });
  side = common;
  return same && side > 0;
}

// All pictures of a part, if they are side x side, as one array; side 0: as the first one, if that is square
// and small. Bad ones are replaced by the next good one where that is allowed.
class Decoding {
 public:
  Decoding(ImageSet& set, const DataOptions& options) : set_(set), options_(options) {}

  bool decode(int& side) {
    const ImageSource& pictures = *set_.pictures;
    PictureReader reader(options_.decoder);
    if (!first_side(pictures, reader, side)) return false;
    const int64_t bytes = 3 * int64_t(side) * side;
    std::vector<uint8_t> images(size_t(pictures.size() * bytes));
    std::atomic<bool> same{true};
    for_each_picture(pictures.size(), options_.threads, options_.decoder, [&](int64_t i, PictureReader& own) {
      try {
        bool fits = false;
        const PixelView view = pictures.read(
            i,
            [&](const PictureSize& size) {
              fits = size.height == side && size.width == side;
              return fits ? Box{0, 0, side, side} : Box{0, 0, 1, 1};
            },
            own);
        if (fits) view.copy_to(images.data() + i * bytes);
        if (!fits) same = false;
      } catch (const Error& error) {
        if (error.fault() != Fault::input || !set_.skips_bad) throw;
        const std::lock_guard lock(mutex_);
        bad_.emplace(i, error.what());
      }
      return bool(same);
    });
    if (!same) return false;
    replace_bad(images, bytes);
    set_.images = std::move(images);
    set_.pictures.reset();
    return true;
  }

 private:
  bool first_side(const ImageSource& pictures, PictureReader& reader, int& side) const {
    for (int64_t i = 0; i < pictures.size(); ++i) {
      try {
        const PictureSize size = pictures.measure(i, reader);
        if (side == 0) side = size.height;
        return size.height == size.width && size.height == side && side <= largest_in_memory &&
               (options_.resize == 0 || options_.resize == side) &&
               pictures.size() <= most_in_memory / (3 * int64_t(side) * side);
      } catch (const Error& error) {
        if (error.fault() != Fault::input || !set_.skips_bad) throw;
      }
    }
    return false;
  }

  void replace_bad(std::vector<uint8_t>& images, int64_t bytes) {
    if (bad_.empty()) return;
    set_.bad = {int64_t(bad_.size()), bad_.begin()->second};
    set_.bad.check_few(set_.size());
    for (const auto& [i, reason] : bad_) {
      int64_t good = (i + 1) % set_.size();
      while (bad_.contains(good)) good = (good + 1) % set_.size();
      std::copy_n(images.begin() + good * bytes, bytes, images.begin() + i * bytes);
      set_.labels[size_t(i)] = set_.labels[size_t(good)];
    }
  }

  ImageSet& set_;
  const DataOptions& options_;
  std::mutex mutex_;
  std::map<int64_t, std::string> bad_;
};

// Measured once for a listing: "R G B R G B n".
ChannelStatistics measured(const ImageSource& pictures, const DataOptions& options) {
  const fs::path cache = cache_folder();
  const fs::path file =
      cache / "folders" / text(std::hex, pictures.hash(), "-", name_of(options.decoder), "-numbers");
  ChannelStatistics found;
  if (!cache.empty()) {
    if (const auto kept = read_text_if_readable(file)) {
      try {
        return read_channel_numbers(*kept, file.string());
      } catch (const Error&) {  // damaged, or of before it had a digest: measured anew
      }
    }
  }
  found = measure_channels(pictures, options.threads, options.decoder);
  std::string kept;
  for (const auto& values : {found.mean, found.deviation})
    for (const float value : values) kept += exact_decimal(double(value)) + " ";
  kept += std::to_string(found.pictures) + "\n";
  if (!cache.empty()) {
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    write_cached(file, with_digest(kept));
  }
  return found;
}

}  // namespace

ChannelStatistics read_channel_numbers(const std::string& text, const std::string& name) {
  DigestLines lines(text, name);
  lines.next();
  ChannelStatistics found;
  for (auto* values : {&found.mean, &found.deviation}) {
    const bool is_mean = values == &found.mean;
    for (float& value : *values) {
      value = lines.number<float>();
      check(value >= 0 && value <= 1 && (is_mean || value > 0), Fault::input, name, ": ",
            is_mean ? "a mean" : "a deviation", " is ", value, ", expected 0 to 1");
    }
  }
  const std::string pictures = lines.rest();
  check(parse(pictures, found.pictures) && found.pictures > 0, Fault::input, name, ": measured on ",
        in_quotes(pictures), " pictures");
  return found;
}

PictureFiles::Bytes bytes_in_folder(const fs::path& folder, const std::vector<File>& part) {
  return [folder, part](int64_t i, std::vector<uint8_t>& scratch) {
    const File& listed = part[size_t(i)];
    InputFile file(folder / listed.path);
    // The data's hash is that of the listing, and so are the numbers that were measured.
    check(file.size() == listed.bytes, Fault::input, file.name(), ": ", with_commas(file.size()),
          " bytes, and ", with_commas(listed.bytes),
          " when its folder was listed: it was replaced since; `retort data verify folder:", folder.string(),
          "` lists the folder anew");
    check(file.size() <= max_picture_file, Fault::input, file.name(), ": ", with_commas(file.size()),
          " bytes, expected at most ", with_commas(max_picture_file));
    if (scratch.capacity() < size_t(file.size()))
      std::vector<uint8_t>().swap(scratch);  // never two in memory
    scratch.resize(size_t(file.size()));
    file.read(scratch.data(), file.size());
    return std::span<const uint8_t>(scratch);
  };
}

DataSet photo_set(const ListedPictures& listed, const DataOptions& options) {
  const FolderListing& listing = listed.listing;
  DataSet data;
  data.name = listed.name;
  const auto room = options.cache_bytes > 0 ? std::make_shared<PictureRoom>(options.cache_bytes) : nullptr;
  const auto fill = [&](ImageSet& set, const std::vector<File>& files, const PictureFiles::Bytes& bytes) {
    set.classes = int(listing.class_names.size());
    set.class_names = listing.class_names;
    set.decoder = options.decoder;
    set.listing_hash = FolderListing::hash(files);
    for (const File& file : files) set.labels.push_back(file.label);
    set.pictures = std::make_shared<PictureFiles>(
        FileNames{names_of(files), listed.prefix, set.listing_hash, largest_of(files)}, bytes, room);
  };
  data.train.skips_bad = options.skips_bad;
  const bool both = options.parts == Parts::both;
  if (both) fill(data.train, listing.train, listed.train);
  fill(data.test, listing.test, listed.test);

  // Before they are in memory: of the files as they are.
  ChannelStatistics numbers;
  std::string from;
  if (listing.tiny_imagenet) {
    numbers = {tiny_mean, tiny_deviation, 0};
    from = "Tiny-ImageNet's";
  } else if (options.imagenet_numbers) {
    numbers = {imagenet_mean, imagenet_deviation, 0};
    from = "ImageNet's";
  } else if (!options.known_numbers) {
    const auto train = both ? data.train.pictures
                            : std::make_shared<PictureFiles>(FileNames{names_of(listing.train), listed.prefix,
                                                                       FolderListing::hash(listing.train)},
                                                             listed.train, nullptr);
    numbers = measured(*train, options);
    from = text("measured on ", with_commas(numbers.pictures), " training images");
  } else {
    numbers.deviation = {1, 1, 1};
  }

  int side = options.size;
  bool small = !options.random_crops && side <= largest_in_memory;
  if (small) {
    Decoding train(data.train, options), test(data.test, options);
    ImageSet photos = data.test;
    small = test.decode(side) && (!both || train.decode(side));
    if (!small) data.test = std::move(photos);
  }
  DataOptions sized = options;
  if (!small && sized.size == 0) {
    int own = 0;
    if (are_small_squares(data.test, options, own) && (!both || are_small_squares(data.train, options, own)))
      sized.size = own;
  }
  for (ImageSet* set : {&data.train, &data.test}) {
    set->mean = numbers.mean;
    set->stddev = numbers.deviation;
    set->numbers_from = from;
    if (!small) {
      set->photo = photo_options(sized);
      side = set->photo.size;
    }
    set->height = set->width = side;
  }
  return data;
}

DataSet read_folder(const fs::path& folder, const DataOptions& options) {
  FolderListing listing = cached_listing(folder, options.test_labels);
  PictureFiles::Bytes train = bytes_in_folder(folder, listing.train),
                      test = bytes_in_folder(folder, listing.test);
  const std::string name = name_of_folder(folder);
  return photo_set({"folder:" + (name.empty() ? folder.string() : name), (folder / "").string(),
                    std::move(listing), std::move(train), std::move(test)},
                   options);
}

VerifiedFolder verify_folder(const fs::path& folder, const std::string& test_labels, Decoder decoder,
                             int threads) {
  const FolderListing listing = renewed_listing(folder, test_labels);
  VerifiedFolder result;
  for (const auto* part : {&listing.train, &listing.test}) {
    const PictureFiles pictures({names_of(*part), (folder / "").string()}, bytes_in_folder(folder, *part),
                                nullptr);
    std::mutex mutex;
    std::map<int64_t, std::string> bad;
    for_each_picture(pictures.size(), threads, decoder, [&](int64_t i, PictureReader& reader) {
      try {
        pictures.read(
            i,
            [](const PictureSize& size) {
              return Box{0, 0, size.height, size.width};
            },
            reader);
      } catch (const Error& error) {
        if (error.fault() != Fault::input) throw;
        const std::lock_guard lock(mutex);
        bad.emplace(i, error.what());
      }
      return true;
    });
    result.good += pictures.size() - int64_t(bad.size());
    for (auto& [i, reason] : bad) result.bad.push_back(std::move(reason));
  }
  return result;
}

}  // namespace retort
