// Row kernels over pairs of vectors.
#pragma once
#include "engine/kernels/lanes.h"

namespace retort {

// y[i,j] = x[j] - x[i] for x [n, d]; row i n + j.
template <class T>
struct PairDifferenceRow {
  static constexpr const char* name = "pair_differences";
  const T* x;
  T* y;
  int64_t n, d;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T *to = x + row % n * d, *from = x + row / n * d;
    T* out = y + row * d;
    lanes.each(d, [=](int64_t k) { out[k] = to[k] - from[k]; });
  }
};

// dx[i] = sum_j dy[j,i] - dy[i,j]
template <class T>
struct PairDifferenceGradientRow {
  static constexpr const char* name = "pair_differences_gradient";
  const T* dy;
  T* dx;
  int64_t n, d;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    T* out = dx + row * d;
    if (!accumulate) lanes.each(d, [=](int64_t k) { out[k] = T(0); });
    for (int64_t j = 0; j < n; ++j) {
      const T *arriving = dy + (j * n + row) * d, *leaving = dy + (row * n + j) * d;
      lanes.each(d, [=](int64_t k) { out[k] += arriving[k] - leaving[k]; });
    }
  }
};

// y[b,i,j] = x[b,i] . x[b,j] for x [b, n, d]; a row is one (b, i, j).
template <class T>
struct GramRow {
  static constexpr const char* name = "batched_gram";
  const T* x;
  T* y;
  int64_t n, d;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t vector = row / n;  // b n + i
    const T *u = x + vector * d, *v = x + (vector / n * n + row % n) * d;
    const T dot = lanes.template sum<T>(d, [=](int64_t k) { return u[k] * v[k]; });
    if (lanes.leader()) y[row] = dot;
  }
};

// dx[b,i] = sum_j (dy[b,i,j] + dy[b,j,i]) x[b,j]
template <class T>
struct GramGradientRow {
  static constexpr const char* name = "batched_gram_gradient";
  const T* x;
  const T* dy;
  T* dx;
  int64_t n, d;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t b = row / n, i = row % n;
    const T* gram = dy + b * n * n;
    T* out = dx + row * d;
    if (!accumulate) lanes.each(d, [=](int64_t k) { out[k] = T(0); });
    for (int64_t j = 0; j < n; ++j) {
      const T* vector = x + (b * n + j) * d;
      const T share = gram[i * n + j] + gram[j * n + i];
      lanes.each(d, [=](int64_t k) { out[k] += share * vector[k]; });
    }
  }
};

}  // namespace retort
