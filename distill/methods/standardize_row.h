// The arithmetic of standardize.h, per row.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// y = (x - mean) / (1e-7 + std); std[row] is kept for the pullback.
template <class T>
struct StandardizeRow {
  static constexpr const char* name = "standardize";
  const T* x;
  T* y;
  T* std;
  int64_t n;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    T* out = y + row * n;
    const T mean = lanes.template sum<T>(n, [=](int64_t i) { return in[i]; }) / T(n);
    const T squares = lanes.template sum<T>(n, [=](int64_t i) { return (in[i] - mean) * (in[i] - mean); });
    const T deviation = square_root(squares / T(n - 1));
    const T scale = T(1) / (T(1e-7) + deviation);
    lanes.each(n, [=](int64_t i) { out[i] = (in[i] - mean) * scale; });
    if (lanes.leader()) std[row] = deviation;
  }
};

// dx = (dy - mean(dy)) / (1e-7 + std) - y (y.dy) / ((n - 1) std); the second part is 0 where std is.
template <class T>
struct StandardizeGradientRow {
  static constexpr const char* name = "standardize_gradient";
  const T* y;
  const T* std;
  const T* dy;
  T* dx;
  int64_t n;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* out = y + row * n;
    const T* d = dy + row * n;
    T* to = dx + row * n;
    const bool add = accumulate;
    const T deviation = std[row];
    const T scale = T(1) / (T(1e-7) + deviation);
    const T mean = lanes.template sum<T>(n, [=](int64_t i) { return d[i]; }) / T(n);
    const T dot = lanes.template sum<T>(n, [=](int64_t i) { return out[i] * d[i]; });
    const T along = deviation > T(0) ? dot / (T(n - 1) * deviation) : T(0);
    lanes.each(n, [=](int64_t i) { to[i] = (add ? to[i] : T(0)) + (d[i] - mean) * scale - out[i] * along; });
  }
};

}  // namespace retort
