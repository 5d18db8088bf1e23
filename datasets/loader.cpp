#include "datasets/loader.h"

#include <algorithm>
#include <utility>

#include "datasets/augment/strong_view.h"
#include "datasets/permute.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
Normalize normalize_of(const ImageSet& set) {
  return {{set.mean[0], set.mean[1], set.mean[2]}, {set.stddev[0], set.stddev[1], set.stddev[2]}};
}

Augment augment_named(const std::string& name) {
  if (name == "none") return Augment::none;
  if (name == "crop-flip" || name == "auto") return Augment::crop_flip;
  if (name == "resized-crop") return Augment::resized_crop;
  fail(Fault::usage, "augmentation '", name, "': expected none, crop-flip or resized-crop");
}

Split split_samples(int64_t size, int64_t limit, int64_t validation, uint64_t seed) {
  check(limit >= 0 && limit <= size, Fault::usage, "limit ", limit, ": expected 1 to ", size,
        ", the number of training images, or 0 for all");
  const int64_t n = limit == 0 ? size : limit;
  check(validation >= 0 && validation < n, Fault::usage, "validation split of ", validation,
        " images out of ", n, ": expected 0 to ", n - 1);
  std::vector<int32_t> numbers = first_numbers(n);
  permute(numbers, validation, seed, Purpose::validation_split, 0);
  const auto middle = numbers.begin() + validation;
  Split split{{middle, numbers.end()}, {numbers.begin(), middle}};
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

std::vector<int32_t> shuffled(int64_t n, uint64_t seed, uint32_t epoch) {
  std::vector<int32_t> order = first_numbers(n);
  permute(order, n, seed, Purpose::shuffle, epoch);
  return order;
}

Loader::Loader(const ImageSet& set, const LoaderOptions& options)
    : Loader(set, first_numbers(set.size()), options) {}

Loader::Loader(const ImageSet& set, std::vector<int32_t> samples, const LoaderOptions& options)
    : set_(set),
      samples_(std::move(samples)),
      options_(options),
      normalize_(options.normalize.value_or(normalize_of(set))),
      slots_(size_t(Prefetch::slots(std::clamp(options.workers, 0, 1024)))),
      prefetch_(std::clamp(options.workers, 0, 1024),
                [this](int64_t batch, int slot) { fill(batch, slots_[size_t(slot)]); }) {
  check(options.batch >= 1, Fault::usage, "batch size ", options.batch, ": expected at least 1");
  check(options.workers >= 0 && options.workers <= 1024, Fault::usage, "loader workers ", options.workers,
        ": expected 0 to 1024");
  check(options.views >= 1 && options.views <= view_count, Fault::usage, "views of an image ", options.views,
        ": expected 1 to ", view_count);
  check(set.channels == 3, "loader: images of ", set.channels, " channels, expected 3");
  check(!set.in_memory() || int64_t(set.images.size()) == set.size() * set.image_bytes(),
        "loader: ", set.images.size(), " bytes of images, expected ", set.size() * set.image_bytes());
  check(set.in_memory() || set.pictures->size() == set.size(), "loader: ", set.size(), " labels of photos");
  check(set.in_memory() || !options.strong, Fault::usage,
        "a second, strongly augmented view is made of images of at most 64 pixels a side, these are photos; "
        "choose "
        "another method");
  check(!set.in_memory() || options.augment != Augment::resized_crop, Fault::usage,
        "augmentation resized-crop is for folder: and pack: data sets; this one's images are in memory: use "
        "crop-flip");
  check(set.in_memory() || options.augment != Augment::each_view, "loader: photos have no numbered views");
  for (int32_t sample : samples_)
    check(sample >= 0 && sample < set.size(), "loader: sample ", sample, " of a set of ", set.size());
  if (options.other) other_.emplace(*options.other);
  const auto places = size_t(std::min(options.batch, int64_t(samples_.size())));
  for (Slot& slot : slots_) {
    const size_t pixels = places * size_t(set.image_bytes());
    if (!set.in_memory()) slot.bytes.resize(pixels);
    if (options.pixels) slot.images.resize(pixels);
    if (options.pixels && other_) slot.other_images.resize(pixels);
    slot.labels.resize(places);
    slot.indices.resize(places);
    slot.views.resize(places);
    if (options.strong) slot.strong.resize(pixels);
    if (options.strong && other_) slot.other_strong.resize(pixels);
  }
}

void Loader::begin_epoch(int epoch, int64_t first_batch) {
  check(first_batch >= 0 && first_batch <= batches(), "loader: first batch ", first_batch, ", expected 0 to ",
        batches());
  prefetch_.start(0, 0);  // the workers read order_ and epoch_: stop them first
  epoch_ = epoch;
  order_ = options_.shuffle ? shuffled(samples(), options_.seed, uint32_t(epoch)) : first_numbers(samples());
  prefetch_.start(first_batch, batches());
}

const HostBatch* Loader::next() {
  const int slot = prefetch_.next();
  return slot < 0 ? nullptr : &slots_[size_t(slot)].batch;
}

void Loader::fill(int64_t batch, Slot& slot) const {
  const int64_t first = batch * options_.batch;
  const int64_t size = std::min(options_.batch, samples() - first);
  if (!set_.in_memory()) fill_photos(slot, first, size);
  const Part wanted = options_.own.images_of(size, options_.parts);
  for (int64_t i = 0; i < (set_.in_memory() ? size : 0); ++i) {
    const bool drawn = i >= wanted.first && i < wanted.first + wanted.count;
    const int32_t sample = samples_[size_t(order_[size_t(first + i)])];
    const View shown = view(sample);
    const int64_t at = i * set_.image_bytes();
    const auto draw = [&](const NormalizeTable& normalize, std::vector<float>& to) {
      augment_image(set_.image(sample), set_.height, set_.width, set_.channels, shown, normalize, 0, 1,
                    to.data() + at);
    };
    if (drawn && options_.pixels) draw(normalize_, slot.images);
    if (drawn && options_.pixels && other_) draw(*other_, slot.other_images);
    if (drawn && options_.strong) {
      const Picture strong = strong_picture(
          set_.image(sample), set_.height, set_.width,
          strong_view_of(options_.seed, uint32_t(epoch_), uint32_t(sample), set_.height, set_.width));
      normalize_picture(strong, normalize_, slot.strong.data() + at);
      if (other_) normalize_picture(strong, *other_, slot.other_strong.data() + at);
    }
    slot.labels[size_t(i)] = set_.labels[size_t(sample)];
    slot.indices[size_t(i)] = sample;
    slot.views[size_t(i)] = index_of(shown);
  }
  const auto made = [](const std::vector<float>& pixels) { return pixels.empty() ? nullptr : pixels.data(); };
  slot.batch = {.size = size,
                .images = made(slot.images),
                .labels = slot.labels.data(),
                .indices = slot.indices.data(),
                .views = slot.views.data(),
                .strong = made(slot.strong),
                .other_images = made(slot.other_images),
                .other_strong = made(slot.other_strong),
                .bytes = slot.bytes.empty() ? nullptr : slot.bytes.data()};
}

void Loader::fill_photos(Slot& slot, int64_t first, int64_t size) const {
  const int64_t bytes = set_.image_bytes();
  PictureReader reader(set_.decoder);  // gone with the batch: slots that wait hold no photo
  const auto draw = [&](int32_t sample, uint8_t* to) {
    PhotoView shown;
    const PixelView crop = set_.pictures->read(
        sample, [&](const PictureSize& photo) { return (shown = photo_view(sample, photo)).crop; }, reader);
    reader.drawer.draw(crop, shown, to);
  };
  const Part wanted = options_.own.images_of(size, options_.parts);
  for (int64_t i = 0; i < size; ++i) {
    int64_t place = order_[size_t(first + i)];
    const bool drawn = i >= wanted.first && i < wanted.first + wanted.count;
    for (; drawn; place = (place + 1) % samples()) {
      const int32_t sample = samples_[size_t(place)];
      try {
        draw(sample, slot.bytes.data() + i * bytes);
        break;
      } catch (const Error& error) {
        if (error.fault() != Fault::input || !set_.skips_bad) throw;
        note_bad(sample, error);
      }
    }
    const int32_t sample = samples_[size_t(place)];
    slot.labels[size_t(i)] = set_.labels[size_t(sample)];
    slot.indices[size_t(i)] = sample;
    slot.views[size_t(i)] = 0;
  }
  const int64_t from = wanted.first * bytes, count = wanted.count * bytes;
  if (options_.pixels) normalize_(slot.bytes.data() + from, count, slot.images.data() + from);
  if (options_.pixels && other_) (*other_)(slot.bytes.data() + from, count, slot.other_images.data() + from);
}

PhotoView Loader::photo_view(int32_t sample, const PictureSize& size) const {
  const auto epoch = uint32_t(epoch_), place = uint32_t(sample);
  switch (options_.augment) {
    case Augment::crop_flip:
      return padded_crop(options_.seed, epoch, place, size, set_.photo);
    case Augment::resized_crop:
      return resized_crop(options_.seed, epoch, place, size, set_.photo);
    case Augment::none:
    case Augment::each_view:
      break;
  }
  return centre_crop(size, set_.photo);
}

void Loader::note_bad(int32_t sample, const Error& error) const {
  const std::lock_guard lock(bad_mutex_);
  if (bad_.empty()) first_bad_ = error.what();
  bad_.insert(sample);
  BadPictures{int64_t(bad_.size()), first_bad_}.check_few(samples());
}

int64_t Loader::bytes() const {
  const bool decodes = !set_.in_memory() && set_.pictures->largest_file() > 0;
  size_t all = decodes ? size_t(kept_by_decoding) * size_t(std::max(1, options_.workers)) : 0;
  for (const Slot& slot : slots_) {
    all += slot.bytes.size();
    for (const auto* floats : {&slot.images, &slot.strong, &slot.other_images, &slot.other_strong})
      all += floats->size() * sizeof(float);
  }
  return int64_t(all);
}

BadPictures Loader::bad_pictures() const {
  if (set_.in_memory()) return set_.bad;
  const std::lock_guard lock(bad_mutex_);
  return {int64_t(bad_.size()), first_bad_};
}

View Loader::view(int32_t sample) const {
  switch (options_.augment) {
    case Augment::none:
    case Augment::resized_crop:
      break;
    case Augment::crop_flip:
      return view_of(options_.seed, uint32_t(epoch_), uint32_t(sample), options_.views);
    case Augment::each_view:
      return options_.views < view_count ? fixed_view(uint32_t(sample), epoch_)
                                         : view_at(epoch_ % view_count);
  }
  return View{};
}

}  // namespace retort
