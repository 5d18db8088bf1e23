// Batches rendered on the device from the data set's bytes: what the loader does on the host, by the same
// function.
#pragma once
#include "datasets/augment/augment.h"
#include "engine/kernels/lanes.h"
#include "engine/kernels/numbers/half.h"
#include "engine/shape.h"

namespace retort {

// Row image * height + y: line y of the chosen view of image indices[image].
struct RenderRow {
  static constexpr const char* name = "render";
  const uint8_t* set;      // all images, H,W,C bytes each
  const int32_t* indices;  // of the batch's images
  const int32_t* views;    // see index_of(View)
  void* out;               // N,H,W,out_channels: zeros behind the image's channels
  DType type;              // of out: f32, f16 or bf16
  int height, width, channels, out_channels;
  Normalize normalize;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t n = row / height;
    const int y = int(row - n * height);
    const RenderRow& own = *this;
    const uint8_t* image = set + int64_t(indices[n]) * height * width * channels;
    const View view = view_at(views[n]);
    const int64_t line = row * width * out_channels;
    lanes.each(width, [=, &own](int64_t x) {
      constexpr int most = 4;
      float pixel[most];
      augment_pixel(image, own.height, own.width, own.channels, view, own.normalize, y, int(x), pixel);
      for (int c = 0; c < own.out_channels; ++c) {
        const float value = c < own.channels ? pixel[c] : 0.0f;
        const int64_t at = line + x * own.out_channels + c;
        if (own.type == DType::f32)
          static_cast<float*>(own.out)[at] = value;
        else
          static_cast<uint16_t*>(own.out)[at] = own.type == DType::bf16 ? bfloat_of(value) : half_of(value);
      }
    });
  }
};

// The same for photos, which the host made images of: row n of n,C bytes, normalised.
struct NormalizeRow {
  static constexpr const char* name = "normalize";
  const uint8_t* bytes;
  float* out;
  int64_t width;
  int channels;
  Normalize normalize;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const NormalizeRow& own = *this;
    const int64_t first = row * width * channels;
    lanes.each(width, [=, &own](int64_t x) {
      for (int c = 0; c < own.channels; ++c) {
        const int64_t at = first + x * own.channels + c;
        own.out[at] = own.normalize(own.bytes[at], c);
      }
    });
  }
};

}  // namespace retort
