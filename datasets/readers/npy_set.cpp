#include "datasets/readers/npy_set.h"

#include <algorithm>
#include <memory>

#include "datasets/formats/npy.h"
#include "datasets/readers/picture_files.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort {
namespace fs = std::filesystem;
namespace {

struct Images {
  int64_t count = 0;
  int height = 0, width = 0;
  std::vector<uint8_t> bytes;  // N,H,W,3
};

// Pictures of one size in memory, treated as photos.
class ArrayPictures : public ImageSource {
 public:
  ArrayPictures(std::shared_ptr<const Images> images, std::string name)
      : images_(std::move(images)), name_(std::move(name)) {}
  int64_t size() const override { return images_->count; }
  PixelView read(int64_t i, const PictureDecoder::Choose& window, PictureReader&) const override {
    const int height = images_->height, width = images_->width;
    const int64_t row = 3 * int64_t(width);
    const PixelView whole{images_->bytes.data() + i * row * height, height, width, row};
    return whole.part(window({height, width}));
  }
  PictureSize measure(int64_t, PictureReader&) const override { return {images_->height, images_->width}; }
  std::string name_of(int64_t i) const override { return text(name_, "[", i, "]"); }
  uint64_t hash() const override { return XXH3_64bits(images_->bytes.data(), images_->bytes.size()); }

 private:
  std::shared_ptr<const Images> images_;
  std::string name_;
};

std::shared_ptr<Images> read_images(const fs::path& path) {
  NpyArray array = read_npy(path);
  const auto& shape = array.shape;
  const bool fits = array.type == DType::u8 && shape.size() == 4 && shape[0] >= 1 && shape[1] >= 1 &&
                    shape[2] >= 1 && shape[1] <= max_picture_side && shape[2] <= max_picture_side &&
                    (shape[3] == 3 || shape[3] == 1);
  check(fits, Fault::input, path.string(), ": holds ", shape_text(array),
        ", expected u8 [N, H, W, 3], images of bytes");
  auto images = std::make_shared<Images>(Images{shape[0], int(shape[1]), int(shape[2]), {}});
  const auto bytes = array.values<uint8_t>();
  if (shape[3] == 3) {
    images->bytes.assign(bytes.begin(), bytes.end());
  } else {
    images->bytes.reserve(bytes.size() * 3);
    for (const uint8_t grey : bytes) images->bytes.insert(images->bytes.end(), 3, grey);
  }
  return images;
}

std::vector<int32_t> read_labels(const fs::path& path) {
  const NpyArray array = read_npy(path);
  check(array.shape.size() == 1 &&
            (array.type == DType::u8 || array.type == DType::i32 || array.type == DType::i64),
        Fault::input, path.string(), ": holds ", shape_text(array),
        ", expected u8, i32 or i64 [N], numbers of classes");
  std::vector<int32_t> labels;
  const auto add = [&](int64_t label) {
    check(label >= 0 && label < 1'000'000, Fault::input, path.string(), ": element ", labels.size(), " is ",
          label, ", expected the number of a class, from 0");
    labels.push_back(int32_t(label));
  };
  if (array.type == DType::u8)
    for (const uint8_t label : array.values<uint8_t>()) add(label);
  else if (array.type == DType::i32)
    for (const int32_t label : array.values<int32_t>()) add(label);
  else
    for (const int64_t label : array.values<int64_t>()) add(label);
  return labels;
}

void place(std::shared_ptr<Images> images, const std::string& name, bool in_memory, ImageSet& set) {
  if (in_memory)
    set.images = std::move(images->bytes);
  else
    set.pictures = std::make_shared<ArrayPictures>(std::move(images), name);
}

}  // namespace

DataSet read_npy_set(const fs::path& folder, const DataOptions& options) {
  std::error_code error;
  check(fs::is_directory(folder, error), Fault::input, "npy: no folder ", folder.string(),
        "; expected one with train_images.npy, train_labels.npy, test_images.npy and test_labels.npy");
  const auto images_of = [&](const char* part) {
    return read_images(folder / (std::string(part) + "_images.npy"));
  };
  const auto labels_of = [&](const char* part, int64_t images) {
    const fs::path file = folder / (std::string(part) + "_labels.npy");
    std::vector<int32_t> labels = read_labels(file);
    check(images < 0 || int64_t(labels.size()) == images, Fault::input, file.string(), ": ", labels.size(),
          " labels of ", images, " images");
    return labels;
  };
  DataSet data;
  data.name = "npy:" + name_of_folder(folder);
  std::shared_ptr<Images> test = images_of("test"), train;
  const bool both = options.parts == Parts::both;
  const bool train_read = both || !options.known_numbers;
  if (train_read) train = images_of("train");
  const std::vector<int32_t> labels = labels_of("train", train_read ? train->count : -1);
  check(!labels.empty(), Fault::input, (folder / "train_labels.npy").string(), ": no labels");
  const int classes = 1 + *std::max_element(labels.begin(), labels.end());
  data.test.labels = labels_of("test", test->count);
  const auto largest = std::max_element(data.test.labels.begin(), data.test.labels.end());
  check(largest == data.test.labels.end() || *largest < classes, Fault::input,
        (folder / "test_labels.npy").string(), ": class ", largest == data.test.labels.end() ? 0 : *largest,
        " has no training images, they are of classes 0 to ", classes - 1);
  const int height = test->height, width = test->width;
  check(!train_read || (train->height == height && train->width == width), Fault::input,
        (folder / "test_images.npy").string(), ": images of ", height, " x ", width,
        ", those for training are ", train->height, " x ", train->width);

  ChannelStatistics numbers;
  numbers.deviation = {1, 1, 1};
  std::string from;
  if (train_read && !options.known_numbers) {
    numbers = measure_channels(ArrayPictures(train, ""), options.threads, options.decoder);
    from = text("measured on ", with_commas(numbers.pictures), " training images");
  }
  const bool square = height == width && height <= largest_in_memory;
  DataOptions sized = options;
  if (sized.size == 0 && square) sized.size = height;
  const bool small = square && !options.random_crops && sized.size == height &&
                     (options.resize == 0 || options.resize == height);
  if (both) data.train.labels = labels;
  if (both) place(std::move(train), "train_images.npy", small, data.train);
  place(std::move(test), "test_images.npy", small, data.test);
  for (ImageSet* set : {&data.train, &data.test}) {
    set->classes = classes;
    for (int c = 0; c < classes; ++c) set->class_names.push_back(std::to_string(c));
    set->mean = numbers.mean;
    set->stddev = numbers.deviation;
    set->numbers_from = from;
    set->height = set->width = small ? height : photo_size(sized);
    if (!small) set->photo = photo_options(sized);
  }
  return data;
}

}  // namespace retort
