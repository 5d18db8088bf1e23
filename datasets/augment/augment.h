// The augmentation of CIFAR recipes: zero-pad by 4, crop at random, flip with p = 0.5, normalise. One image
// is one row of work; written once for the host's loader and for a device.
#pragma once
#include <cstdint>

#include "engine/kernels/host_device.h"
#include "engine/random.h"

namespace retort {

// each_view: epoch e shows view number e of every image, for tables. resized_crop: of photos alone, see photo_view.h.
enum class Augment { none, crop_flip, each_view, resized_crop };

constexpr int crop_padding = 4;
constexpr int crop_offsets = 2 * crop_padding + 1;           // 9 along each axis
constexpr int view_count = crop_offsets * crop_offsets * 2;  // 162: every picture an image can become

// The window (dy, dx), each 0 to 8, of the padded image, then mirrored or not. By default the image as it is.
struct View {
  int dy = crop_padding, dx = crop_padding;
  bool flip = false;
  bool operator==(const View&) const = default;
};

// The view of one training image in one epoch.
RETORT_HD View view_of(uint64_t seed, uint32_t epoch, uint32_t sample) {
  const Random4 r = random4(seed, Purpose::augment, epoch, sample, 0);
  View view;
  view.dy = int(random_below(r.v[0], crop_offsets));
  view.dx = int(random_below(r.v[1], crop_offsets));
  view.flip = (r.v[2] >> 31) != 0;
  return view;
}

// Views numbered 0 to view_count - 1, for tables that hold something per view.
RETORT_HD int index_of(View view) {
  return (view.dy * crop_offsets + view.dx) * 2 + (view.flip ? 1 : 0);
}

RETORT_HD View view_at(int index) {
  View view;
  view.dy = index / 2 / crop_offsets;
  view.dx = index / 2 % crop_offsets;
  view.flip = index % 2 != 0;
  return view;
}

// Number k of the fixed views of a sample to which augmentation may be limited: the same in every run. Any
// 162 consecutive numbers are all views, consecutive ones are mirrored by turns.
RETORT_HD View fixed_view(uint32_t sample, int k) {
  constexpr int step = 85;  // no common factor with view_count
  const int first = int(random_below(random4(0, Purpose::augment, 0, sample, 1).v[0], view_count));
  return view_at((first + k % view_count * step) % view_count);
}

// The view in one epoch where only the first `views` fixed ones are drawn from; all: as above.
RETORT_HD View view_of(uint64_t seed, uint32_t epoch, uint32_t sample, int views) {
  if (views >= view_count) return view_of(seed, epoch, sample);
  const Random4 r = random4(seed, Purpose::augment, epoch, sample, 0);
  return fixed_view(sample, int(random_below(r.v[0], uint32_t(views))));
}

// Byte to float, per channel. Division, not a rounded reciprocal: the same bits as (x / 255 - mean) / std
// elsewhere.
struct Normalize {
  float mean[3], stddev[3];

  bool operator==(const Normalize&) const = default;

  RETORT_HD float operator()(uint8_t byte, int channel) const {
    return (float(byte) / 255.0f - mean[channel]) / stddev[channel];
  }
};

// The same from a table: on a host 768 divisions in all instead of 3072 per image.
struct NormalizeTable {
  float values[3][256];

  explicit NormalizeTable(const Normalize& normalize) {
    for (int c = 0; c < 3; ++c)
      for (int byte = 0; byte < 256; ++byte) values[c][byte] = normalize(uint8_t(byte), c);
  }
  float operator()(uint8_t byte, int channel) const { return values[channel][byte]; }

  // Of whole pixels of three channels.
  void operator()(const uint8_t* bytes, int64_t count, float* to) const {
    for (int64_t at = 0; at < count; at += 3)
      for (int c = 0; c < 3; ++c) to[at + c] = values[c][bytes[at + c]];
  }
};

// Writes pixel (y, x) of one view of image (H,W,C bytes) to `to` (C of what normalize gives). The padding is
// black before normalising, as in the recipes.
template <class Pixel, class Value>
RETORT_HD void augment_pixel(const uint8_t* image, int height, int width, int channels, View view,
                             const Pixel& normalize, int y, int x, Value* to) {
  const int from_y = y + view.dy - crop_padding;
  const int from_x = (view.flip ? width - 1 - x : x) + view.dx - crop_padding;
  const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
  const uint8_t* from = image + (int64_t(from_y) * width + from_x) * channels;
  for (int c = 0; c < channels; ++c) to[c] = normalize(inside ? from[c] : uint8_t(0), c);
}

// Writes one view of image to out (H,W,C). Columns are dealt out to `lanes` lanes, of which this call is
// number `lane`; a host has one.
template <class Pixel, class Value>
RETORT_HD void augment_image(const uint8_t* image, int height, int width, int channels, View view,
                             const Pixel& normalize, int lane, int lanes, Value* out) {
  for (int y = 0; y < height; ++y) {
    for (int x = lane; x < width; x += lanes) {
      augment_pixel(image, height, width, channels, view, normalize, y, x,
                    out + (int64_t(y) * width + x) * channels);
    }
  }
}

}  // namespace retort
