// Share of a row's numbers that are at most their median; and the largest softmax probability of a row.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// share[row] = (how many x are <= median) / n. The median of an even count is the mean of the middle two.
template <class T>
struct MedianShareRow {
  static constexpr const char* name = "median_share";
  const T* x;
  T* share;
  int64_t n;

  int64_t scratch_bytes() const {
    return int64_t(lane_scratch_bytes(size_t(n) * sizeof(int32_t)) + rank_scratch_bytes<T>(n));
  }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    int32_t* order = lanes.template scratch<int32_t>(n);
    lanes.rank_descending(n, in, order);
    lanes.sync();
    const T median = (in[order[(n - 1) / 2]] + in[order[n / 2]]) / T(2);
    const T count = lanes.template sum<T>(n, [=](int64_t i) { return T(in[i] <= median ? 1 : 0); });
    if (lanes.leader()) share[row] = count / T(n);
  }
};

// top[row] = max softmax(x) = 1 / sum exp(x - max x)
template <class T>
struct TopProbabilityRow {
  static constexpr const char* name = "top_probability";
  const T* x;
  T* top;
  int64_t n;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    const T largest = lanes.template max<T>(n, [=](int64_t i) { return in[i]; });
    const T total = lanes.template sum<T>(n, [=](int64_t i) { return exponential(in[i] - largest); });
    if (lanes.leader()) top[row] = T(1) / total;
  }
};

}  // namespace retort
