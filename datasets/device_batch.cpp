#include "datasets/device_batch.h"

#include <algorithm>

#include "datasets/augment/render_row.h"

namespace retort {

DeviceBatch::DeviceBatch(Device& device, const ImageSet& set, int64_t largest, bool strong, bool rendering)
    : device_(device),
      rendering_(rendering),
      largest_(largest),
      image_shape_{set.height, set.width, set.channels},
      normalize_(normalize_of(set)),
      images_(device.persistent({largest, set.height, set.width, set.channels}, DType::f32)),
      numbers_(device.persistent({3, largest}, DType::i32)),
      host_numbers_(size_t(3 * largest)) {
  if (strong) strong_ = device.persistent(images_.tensor.shape, DType::f32);
  if (!rendering) return;
  set_ = device.persistent({int64_t(set.images.size())}, DType::u8);
  device.backend().upload(set_, set.images.data());
}

Batch DeviceBatch::upload(const HostBatch& host) {
  check(host.size <= largest_, "DeviceBatch: ", host.size, " images, at most ", largest_);
  check(rendering_ || host.images, "DeviceBatch: the loader gave no pixels");
  const Shape& s = image_shape_;
  int32_t* numbers = numbers_.tensor.as<int32_t>();
  const auto part = [&](int k) { return Tensor{numbers + k * largest_, {host.size}, DType::i32}; };
  Batch batch{
      {images_.tensor.data, {host.size, s[0], s[1], s[2]}, DType::f32}, part(0), part(1), part(2), {}};
  // One upload for the three.
  std::copy_n(host.labels, host.size, host_numbers_.begin());
  std::copy_n(host.indices, host.size, host_numbers_.begin() + largest_);
  std::copy_n(host.views, host.size, host_numbers_.begin() + 2 * largest_);
  device_.backend().upload(numbers_, host_numbers_.data());
  if (!rendering_) device_.backend().upload(batch.images, host.images);
  if (strong_) {
    check(host.strong, "DeviceBatch: the loader gave no second views");
    batch.strong = {strong_.tensor.data, batch.images.shape, DType::f32};
    device_.backend().upload(batch.strong, host.strong);
  }
  return batch;
}

void DeviceBatch::render(const Batch& batch) {
  if (!rendering_) return;
  const auto side = [&](int i) { return int(image_shape_[i]); };
  launch_rows(device_.backend(),
              RenderRow{set_.tensor.as<uint8_t>(), batch.indices.as<int32_t>(), batch.views.as<int32_t>(),
                        batch.images.as<float>(), side(0), side(1), side(2), normalize_},
              batch.size() * image_shape_[0]);
}

}  // namespace retort
