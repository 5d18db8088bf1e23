// The row kernels of wkd.h: softmax over the classes other than the labelled one, whose own place gets 0.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

template <class T>
struct OthersSoftmaxRow {
  static constexpr const char* name = "others_softmax";
  const T* logits;
  const int32_t* labels;
  T* y;
  int64_t n;
  T inverse_temperature;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* z = logits + row * n;
    T* out = y + row * n;
    const int32_t own = labels[row];
    const T it = inverse_temperature;
    const T minus_infinity = -T(__builtin_huge_val());
    const T top =
        lanes.template max<T>(n, [=](int64_t i) { return int32_t(i) == own ? minus_infinity : z[i]; });
    const T total = lanes.template sum<T>(
        n, [=](int64_t i) { return int32_t(i) == own ? T(0) : exponential((z[i] - top) * it); });
    const T scale = T(1) / total;
    lanes.each(
        n, [=](int64_t i) { out[i] = int32_t(i) == own ? T(0) : scale * exponential((z[i] - top) * it); });
  }
};

// dz = y (dy - y . dy) / temperature
template <class T>
struct OthersSoftmaxGradientRow {
  static constexpr const char* name = "others_softmax_gradient";
  const T* y;
  const T* dy;
  T* dz;
  int64_t n;
  T inverse_temperature;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* p = y + row * n;
    const T* d = dy + row * n;
    T* to = dz + row * n;
    const T it = inverse_temperature;
    const bool add = accumulate;
    const T along = lanes.template sum<T>(n, [=](int64_t i) { return p[i] * d[i]; });
    lanes.each(n, [=](int64_t i) { to[i] = (add ? to[i] : T(0)) + it * p[i] * (d[i] - along); });
  }
};

}  // namespace retort
