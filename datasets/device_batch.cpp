#include "datasets/device_batch.h"

#include <algorithm>

#include "datasets/augment/render_row.h"

namespace retort {

DeviceBatch::DeviceBatch(Device& device, const ImageSet& set, int64_t largest,
                         const DeviceBatchOptions& options, bool rendering)
    : device_(device),
      rendering_(rendering),
      largest_(largest),
      draws_(rendering && set.in_memory()),
      image_shape_{set.height, set.width, set.channels},
      normalize_(options.normalize.value_or(normalize_of(set))),
      other_(options.other),
      channels_(draws_ && options.channels > 0 ? options.channels : set.channels),
      images_(
          device.persistent({largest, set.height, set.width, channels_}, draws_ ? options.type : DType::f32)),
      numbers_(device.persistent({3, largest}, DType::i32)),
      host_numbers_(size_t(3 * largest)) {
  check(channels_ >= set.channels, "DeviceBatch: images of ", set.channels, " channels in ", channels_);
  const Shape shape{largest, set.height, set.width, set.channels};
  if (options.strong) strong_ = device.persistent(shape, DType::f32);
  if (other_) other_images_ = device.persistent(images_.tensor.shape, images_.tensor.type);
  if (other_ && options.strong) other_strong_ = device.persistent(shape, DType::f32);
  if (!rendering) return;
  if (!set.in_memory()) {
    bytes_ = device.persistent(shape, DType::u8);
    return;
  }
  set_ = device.persistent({int64_t(set.images.size())}, DType::u8);
  device.backend().upload(set_, set.images.data());
}

Batch DeviceBatch::upload(const HostBatch& host) {
  check(host.size <= largest_, "DeviceBatch: ", host.size, " images, at most ", largest_);
  check(rendering_ || host.images, "DeviceBatch: the loader gave no pixels");
  const Shape& s = image_shape_;
  int32_t* numbers = numbers_.tensor.as<int32_t>();
  const auto part = [&](int k) { return Tensor{numbers + k * largest_, {host.size}, DType::i32}; };
  const auto pictures = [&](const Array& memory) {
    return Tensor{
        memory.tensor.data, {host.size, s[0], s[1], memory.tensor.shape.last()}, memory.tensor.type};
  };
  Batch batch{.images = pictures(images_),
              .labels = part(0),
              .indices = part(1),
              .views = part(2),
              .strong = {},
              .other_images = pictures(other_ ? other_images_ : images_),
              .other_strong = {}};
  // One upload for the three.
  std::copy_n(host.labels, host.size, host_numbers_.begin());
  std::copy_n(host.indices, host.size, host_numbers_.begin() + largest_);
  std::copy_n(host.views, host.size, host_numbers_.begin() + 2 * largest_);
  device_.backend().upload(numbers_, host_numbers_.data());
  if (!rendering_) device_.backend().upload(batch.images, host.images);
  if (bytes_) {
    check(host.bytes, "DeviceBatch: the loader gave no bytes of photos");
    device_.backend().upload(Tensor{bytes_.tensor.data, {host.size, s[0], s[1], s[2]}, DType::u8},
                             host.bytes);
  }
  if (other_ && !rendering_) {
    check(host.other_images, "DeviceBatch: the loader gave no pixels for the other network");
    device_.backend().upload(batch.other_images, host.other_images);
  }
  if (strong_) {
    check(host.strong && (!other_ || host.other_strong), "DeviceBatch: the loader gave no second views");
    batch.strong = pictures(strong_);
    batch.other_strong = pictures(other_ ? other_strong_ : strong_);
    device_.backend().upload(batch.strong, host.strong);
    if (other_) device_.backend().upload(batch.other_strong, host.other_strong);
  }
  return batch;
}

void DeviceBatch::render(const Batch& batch) {
  if (!rendering_) return;
  const auto side = [&](int i) { return int(image_shape_[i]); };
  const auto draw = [&](const Tensor& to, const Normalize& normalize) {
    if (bytes_) {
      launch_rows(
          device_.backend(),
          NormalizeRow{bytes_.tensor.as<uint8_t>(), to.as<float>(), image_shape_[1], side(2), normalize},
          batch.size() * image_shape_[0]);
      return;
    }
    launch_rows(device_.backend(),
                RenderRow{set_.tensor.as<uint8_t>(), batch.indices.as<int32_t>(), batch.views.as<int32_t>(),
                          to.data, to.type, side(0), side(1), side(2), int(channels_), normalize},
                batch.size() * image_shape_[0]);
  };
  draw(batch.images, normalize_);
  if (other_) draw(batch.other_images, *other_);
}

}  // namespace retort
