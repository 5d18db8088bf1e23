// The loader's batches in device memory, at fixed addresses per batch size.
#pragma once
#include "datasets/loader.h"
#include "engine/device.h"

namespace retort {

// What a step reads. Views of memory that the next upload overwrites.
struct Batch {
  Tensor images;   // N,H,W,C, normalised
  Tensor labels;   // N, i32
  Tensor indices;  // N, i32: which image of the set each one is
  Tensor strong;   // N,H,W,C: the second views; empty without
  int64_t size() const { return labels.size(); }
};

class DeviceBatch {
 public:
  // strong: there are second views.
  DeviceBatch(Device& device, const ImageSet& set, int64_t largest, bool strong = false)
      : device_(device),
        image_shape_{set.height, set.width, set.channels},
        images_(device.persistent({largest, set.height, set.width, set.channels}, DType::f32)),
        labels_(device.persistent({largest}, DType::i32)),
        indices_(device.persistent({largest}, DType::i32)) {
    if (strong) strong_ = device.persistent(images_.tensor.shape, DType::f32);
  }

  Batch upload(const HostBatch& host) {
    const Shape& s = image_shape_;
    Batch batch{{images_.tensor.data, {host.size, s[0], s[1], s[2]}, DType::f32},
                {labels_.tensor.data, {host.size}, DType::i32},
                {indices_.tensor.data, {host.size}, DType::i32},
                {}};
    device_.backend().upload(batch.images, host.images);
    device_.backend().upload(batch.labels, host.labels);
    device_.backend().upload(batch.indices, host.indices);
    if (strong_) {
      batch.strong = {strong_.tensor.data, batch.images.shape, DType::f32};
      device_.backend().upload(batch.strong, host.strong);
    }
    return batch;
  }

 private:
  Device& device_;
  Shape image_shape_;
  Array images_, labels_, indices_, strong_;
};

}  // namespace retort
