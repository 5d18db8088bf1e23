// The loader's batches in device memory, at fixed addresses per batch size.
#pragma once
#include <optional>

#include "datasets/loader.h"
#include "engine/device.h"
#include "engine/types.h"

namespace retort {

// What a step reads. Views of memory that the next upload overwrites.
struct Batch {
  Tensor images;   // N,H,W,C, normalised; type and channels: see DeviceBatchOptions
  Tensor labels;   // N, i32
  Tensor indices;  // N, i32: which image of the set each one is
  Tensor views;    // N, i32: which view of it, see index_of(View)
  Tensor strong;   // N,H,W,C: the second views; empty without
  // The same pictures as a second network sees them: images and strong themselves, unless it has numbers of
  // its own (see DeviceBatchOptions::other).
  Tensor other_images, other_strong;
  int64_t size() const { return labels.size(); }
};

struct DeviceBatchOptions {
  bool strong = false;                      // there are second views, which the host makes for every device
  std::optional<Normalize> normalize = {};  // as LoaderOptions has them
  std::optional<Normalize> other = {};
  // What images are drawn in, see draws(), where a device computes in 16 bits; others are f32 with the set's
  // channels, as second views are.
  DType type = DType::f32;
  int64_t channels = 0;  // with zeros behind the set's; 0: the set's

  // As the precision's convolutions read them best.
  void draw_for(Precision precision) {
    type = image_type(precision);
    channels = is_16_bit(type) ? padded_image_channels : 0;
  }
};

class DeviceBatch {
 public:
  // Where a device of its own memory renders batches from the whole set's bytes, which it then holds: the
  // host gives numbers only, and needs no pixels (LoaderOptions::pixels). Of photos the host gives bytes, which the
  // device normalises.
  static bool renders(Device& device) { return !device.backend().host_addressable(); }
  // Whether that is from the set's bytes, in any form.
  static bool draws(Device& device, const ImageSet& set) { return renders(device) && set.in_memory(); }

  // For batches of up to `largest` images of the set, which must outlive it.
  DeviceBatch(Device& device, const ImageSet& set, int64_t largest, const DeviceBatchOptions& options = {})
      : DeviceBatch(device, set, largest, options, renders(device)) {}
  DeviceBatch(Device& device, const ImageSet& set, int64_t largest, const DeviceBatchOptions& options,
              bool rendering);

  // Labels, indices and views, second views if there are any, and images if the device does not render.
  Batch upload(const HostBatch& host);
  // Makes the batch's images where the device renders them. The first thing in a step, captured with it.
  void render(const Batch& batch);

 private:
  Device& device_;
  const bool rendering_;
  const int64_t largest_;
  const bool draws_;  // from the set's bytes
  Shape image_shape_;
  Normalize normalize_;
  std::optional<Normalize> other_;
  int64_t channels_;  // of images
  Array images_, strong_, other_images_, other_strong_;
  Array numbers_, set_;  // numbers: labels, indices, views, `largest` each
  Array bytes_;          // of photos: the batch's images, as the host made them
  std::vector<int32_t> host_numbers_;
};

}  // namespace retort
