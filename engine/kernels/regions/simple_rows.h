// Row kernels of the simpler ops of detectors: whole rows picked, softplus, ReLU6.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// y[row] = x[index[row]], whole rows of n.
template <class T>
struct GatherRowsRow {
  static constexpr const char* name = "gather_rows";
  const T* x;
  const int32_t* index;
  T* y;
  int64_t n;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + index[row] * n;
    T* out = y + row * n;
    lanes.each(n, [=](int64_t i) { out[i] = in[i]; });
  }
};

// dx[index[row]] += dy[row]. No index stands twice, so each row of dx has one writer.
template <class T>
struct AddToRowsRow {
  static constexpr const char* name = "gather_rows_gradient";
  const T* dy;
  const int32_t* index;
  T* dx;
  int64_t n;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* d = dy + row * n;
    T* out = dx + index[row] * n;
    lanes.each(n, [=](int64_t i) { out[i] += d[i]; });
  }
};

// log(1 + e^x), without an exponential of a positive number; its slope is the sigmoid.
struct Softplus {
  template <class T>
  RETORT_HD T value(T x) const {
    return (x < T(0) ? T(0) : x) + log_one_plus(exponential(-absolute(x)));
  }
  template <class T>
  RETORT_HD T slope(T x) const {
    return T(1) / (T(1) + exponential(-x));
  }
};

// min(max(x, 0), 6); NaN stays NaN. At the corners the slope is 0.
struct Relu6 {
  template <class T>
  RETORT_HD T value(T x) const {
    return x < T(0) ? T(0) : (x > T(6) ? T(6) : x);
  }
  template <class T>
  RETORT_HD T slope(T x) const {
    return x > T(0) && x < T(6) ? T(1) : T(0);
  }
};

// A row of `block` elements, the last one shorter.
inline constexpr int64_t elements_of_a_row = 1024;

template <class T, class Formula>
struct ElementRow {
  static constexpr const char* name = "element";
  const T* x;
  T* y;
  int64_t size;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t first = row * elements_of_a_row,
                  count = size - first < elements_of_a_row ? size - first : elements_of_a_row;
    const T* in = x + first;
    T* out = y + first;
    const Formula f;
    lanes.each(count, [=](int64_t i) { out[i] = f.value(in[i]); });
  }
};

template <class T, class Formula>
struct ElementGradientRow {
  static constexpr const char* name = "element_gradient";
  const T* x;
  const T* dy;
  T* dx;
  int64_t size;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t first = row * elements_of_a_row,
                  count = size - first < elements_of_a_row ? size - first : elements_of_a_row;
    const T* in = x + first;
    const T* d = dy + first;
    T* out = dx + first;
    const Formula f;
    const bool add = accumulate;
    lanes.each(count, [=](int64_t i) { out[i] = (add ? out[i] : T(0)) + d[i] * f.slope(in[i]); });
  }
};

}  // namespace retort
