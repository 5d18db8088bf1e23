#include "datasets/detection/detection_loader.h"

#include <algorithm>

#include "datasets/permute.h"
#include "engine/base/check.h"
#include "engine/random_words.h"

namespace retort {

namespace {

int rounded_up(int side, int multiple) {
  return (side + multiple - 1) / multiple * multiple;
}

int checked_workers(const DetectionLoaderOptions& options) {
  check(options.workers >= 0 && options.workers <= 1024, Fault::usage, "loader workers ", options.workers,
        ": expected 0 to 1024");
  return options.workers;
}

// What is drawn for a picture in an epoch: whether it is mirrored, how large it is.
Random4 view_of(const DetectionLoaderOptions& options, int epoch, int32_t image) {
  return random4(options.seed, box_purpose::view, uint32_t(epoch), uint32_t(image), 0);
}

// In pixels of the padded picture.
void write_pixels(const Image& image, bool flip, const Normalize& normalize, int64_t width, float* to) {
  const NormalizeTable table(normalize);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      const uint8_t* from =
          image.pixels.data() + (int64_t(y) * image.width + (flip ? image.width - 1 - x : x)) * 3;
      for (int c = 0; c < 3; ++c) to[(y * width + x) * 3 + c] = table(from[c], c);
    }
}

DetectionObject seen_as(const DetectionObject& object, double across, double down, double width, bool flip) {
  CocoRect box{object.box.x * across, object.box.y * down, object.box.width * across,
               object.box.height * down};
  if (flip) box.x = width - box.x - box.width;
  return {box, object.label};
}

}  // namespace

DetectionLoader::DetectionLoader(const DetectionPart& part, const DetectionLoaderOptions& options)
    : part_(part),
      options_(options),
      slots_(size_t(Prefetch::slots(checked_workers(options)))),
      prefetch_(options.workers, [this](int64_t batch, int slot) { fill(batch, slots_[size_t(slot)]); }) {
  check(options.batch >= 1, Fault::usage, "batch size ", options.batch, ": expected at least 1");
  for (const int side : options.sides)
    check(side >= 1 && side <= options.longest, Fault::usage, "size ", side,
          " of a picture's shorter side: expected 1 to ", options.longest);
  if (options.training) objects_ = objects_of(part);
  for (int32_t i = 0; i < int32_t(part.size()); ++i) {
    if (options.limit > 0 && int64_t(samples_.size()) == options.limit) break;
    if (!options.training || !objects_[size_t(i)].empty()) samples_.push_back(i);
  }
  put_together();
}

DetectionLoader::Size DetectionLoader::size_of(int32_t image) const {
  const CocoImage& own = part_.annotations.images[size_t(image)];
  const double height = double(own.height), width = double(own.width);
  double scale = 1;
  if (!options_.sides.empty()) {
    const auto sides = uint32_t(options_.sides.size());
    const uint32_t word = view_of(options_, epoch_, image).v[1];
    const double side = options_.sides[options_.training ? random_below(word, sides) : 0];
    scale = side / std::min(height, width);
  }
  if (std::max(height, width) * scale > options_.longest) scale = options_.longest / std::max(height, width);
  return {std::max(1, int(height * scale + 0.5)), std::max(1, int(width * scale + 0.5))};
}

bool DetectionLoader::flipped(int32_t image) const {
  return options_.training && options_.flip && (view_of(options_, epoch_, image).v[0] >> 31) != 0;
}

void DetectionLoader::put_together() {
  order_.clear();
  if (options_.training) {
    const std::vector<int32_t> order =
        options_.shuffle ? shuffled(samples(), options_.seed, uint32_t(epoch_)) : first_numbers(samples());
    std::vector<int32_t> open[2];  // tall, wide
    for (const int32_t place : order) {
      const int32_t image = samples_[size_t(place)];
      const CocoImage& own = part_.annotations.images[size_t(image)];
      auto& batch = open[own.width >= own.height ? 1 : 0];
      batch.push_back(image);
      if (int64_t(batch.size()) < options_.batch) continue;
      order_.push_back(std::move(batch));
      batch.clear();
    }
    for (auto& batch : open)
      if (!batch.empty()) order_.push_back(std::move(batch));
  } else {
    std::vector<int32_t> order = samples_;
    const auto key = [&](int32_t image) {
      const Size size = size_of(image);
      return std::pair(size.height, size.width);
    };
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return key(a) < key(b); });
    for (const int32_t image : order) {
      const bool fits = !order_.empty() && int64_t(order_.back().size()) < options_.batch &&
                        key(order_.back()[0]) == key(image);
      if (!fits) order_.emplace_back();
      order_.back().push_back(image);
    }
    int number = 0;
    std::erase_if(order_, [&](const auto&) { return number++ % options_.every != options_.first; });
  }
  batches_ = int64_t(order_.size());
}

void DetectionLoader::begin_epoch(int epoch, int64_t first_batch) {
  check(first_batch >= 0 && first_batch <= batches(), "detection loader: first batch ", first_batch,
        ", expected 0 to ", batches());
  prefetch_.start(0, 0);  // the workers read order_ and epoch_: stop them first
  epoch_ = epoch;
  put_together();
  prefetch_.start(first_batch, batches());
}

const HostDetections* DetectionLoader::next() {
  const int slot = prefetch_.next();
  return slot < 0 ? nullptr : &slots_[size_t(slot)];
}

int64_t DetectionLoader::samples_before(int64_t batch) const {
  int64_t count = 0;
  for (int64_t b = 0; b < batch; ++b) count += int64_t(order_[size_t(b)].size());
  return count;
}

void DetectionLoader::fill(int64_t batch, HostDetections& to) const {
  const std::vector<int32_t>& images = order_[size_t(batch)];
  to.samples.clear();
  Size padded{0, 0};
  for (const int32_t image : images) {
    const Size size = size_of(image);
    padded = {std::max(padded.height, size.height), std::max(padded.width, size.width)};
  }
  to.height = rounded_up(padded.height, options_.pad_multiple);
  to.width = rounded_up(padded.width, options_.pad_multiple);
  const auto pixels = size_t(to.height * to.width * 3);
  to.images.assign(images.size() * pixels, 0.0f);
  to.other_images.assign(options_.other ? images.size() * pixels : 0, 0.0f);
  const Part wanted = options_.own.images_of(int64_t(images.size()), options_.parts);
  for (size_t i = 0; i < images.size(); ++i) {
    const int32_t image = images[i];
    const CocoImage& original = part_.annotations.images[size_t(image)];
    const Size size = size_of(image);
    const bool flip = flipped(image);
    DetectionSample sample{image, size.height, size.width, original.height, original.width, {}};
    if (options_.training)
      for (const DetectionObject& object : objects_[size_t(image)])
        sample.objects.push_back(seen_as(object, double(size.width) / double(original.width),
                                         double(size.height) / double(original.height), double(size.width),
                                         flip));
    to.samples.push_back(std::move(sample));
    if (int64_t(i) < wanted.first || int64_t(i) >= wanted.first + wanted.count) continue;
    Image picture = part_.picture(image);
    if (size != Size{picture.height, picture.width}) picture = resize_image(picture, size.height, size.width);
    write_pixels(picture, flip, options_.normalize, to.width, to.images.data() + i * pixels);
    if (options_.other)
      write_pixels(picture, flip, *options_.other, to.width, to.other_images.data() + i * pixels);
  }
}

}  // namespace retort
