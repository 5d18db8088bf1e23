// Row kernels over images N,H,W,C that change height and width: a row is one place of one image, its lanes
// are the channels.
#pragma once
#include "engine/kernels/lanes.h"

namespace retort {

// Along one axis, cell i of `out` cells averages the cells [first(i), end(i)) of `in`: PyTorch's
// adaptive_avg_pool2d. Cells overlap where out does not divide in.
struct AdaptiveCells {
  int64_t in, out;

  RETORT_HD int64_t first(int64_t i) const { return i * in / out; }
  RETORT_HD int64_t end(int64_t i) const { return ((i + 1) * in + out - 1) / out; }
  RETORT_HD int64_t size(int64_t i) const { return end(i) - first(i); }
  // The cells of `out` that average cell y of `in`: [first_over(y), end_over(y)).
  RETORT_HD int64_t first_over(int64_t y) const { return y * out / in; }
  RETORT_HD int64_t end_over(int64_t y) const { return ((y + 1) * out + in - 1) / in; }
};

template <class T>
struct AdaptivePoolRow {
  static constexpr const char* name = "adaptive_average_pool";
  const T* x;
  T* y;
  AdaptiveCells down, across;
  int64_t channels;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t j = row % across.out, i = row / across.out % down.out, n = row / across.out / down.out;
    const int64_t top = down.first(i), bottom = down.end(i), left = across.first(j), right = across.end(j);
    T* out = y + row * channels;
    const T scale = T(1) / T((bottom - top) * (right - left));
    lanes.each(channels, [=](int64_t k) { out[k] = T(0); });
    for (int64_t a = top; a < bottom; ++a) {
      for (int64_t b = left; b < right; ++b) {
        const T* from = x + ((n * down.in + a) * across.in + b) * channels;
        lanes.each(channels, [=](int64_t k) { out[k] += scale * from[k]; });
      }
    }
  }
};

template <class T>
struct AdaptivePoolGradientRow {
  static constexpr const char* name = "adaptive_average_pool_gradient";
  const T* dy;
  T* dx;
  AdaptiveCells down, across;
  int64_t channels;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t b = row % across.in, a = row / across.in % down.in, n = row / across.in / down.in;
    const int64_t top = down.first_over(a), bottom = down.end_over(a), left = across.first_over(b),
                  right = across.end_over(b);
    T* to = dx + row * channels;
    if (!accumulate) lanes.each(channels, [=](int64_t k) { to[k] = T(0); });
    for (int64_t i = top; i < bottom; ++i) {
      for (int64_t j = left; j < right; ++j) {
        const T* d = dy + ((n * down.out + i) * across.out + j) * channels;
        const T scale = T(1) / T(down.size(i) * across.size(j));
        lanes.each(channels, [=](int64_t k) { to[k] += scale * d[k]; });
      }
    }
  }
};

// y[n,i,j] = x[n, floor(i in / out), floor(j in / out)]
template <class T>
struct ResizeRow {
  static constexpr const char* name = "resize_nearest";
  const T* x;
  T* y;
  AdaptiveCells down, across;
  int64_t channels;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t j = row % across.out, i = row / across.out % down.out, n = row / across.out / down.out;
    const T* from = x + ((n * down.in + down.first(i)) * across.in + across.first(j)) * channels;
    T* to = y + row * channels;
    lanes.each(channels, [=](int64_t k) { to[k] = from[k]; });
  }
};

template <class T>
struct ResizeGradientRow {
  static constexpr const char* name = "resize_nearest_gradient";
  const T* dy;
  T* dx;
  AdaptiveCells down, across;
  int64_t channels;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t b = row % across.in, a = row / across.in % down.in, n = row / across.in / down.in;
    // The i of out with floor(i in / out) = a are [ceil(a out / in), ceil((a + 1) out / in)).
    const int64_t top = first_taking(down, a), bottom = first_taking(down, a + 1),
                  left = first_taking(across, b), right = first_taking(across, b + 1);
    T* to = dx + row * channels;
    if (!accumulate) lanes.each(channels, [=](int64_t k) { to[k] = T(0); });
    for (int64_t i = top; i < bottom; ++i) {
      for (int64_t j = left; j < right; ++j) {
        const T* d = dy + ((n * down.out + i) * across.out + j) * channels;
        lanes.each(channels, [=](int64_t k) { to[k] += d[k]; });
      }
    }
  }

 private:
  static RETORT_HD int64_t first_taking(const AdaptiveCells& cells, int64_t a) {
    return (a * cells.out + cells.in - 1) / cells.in;
  }
};

}  // namespace retort
