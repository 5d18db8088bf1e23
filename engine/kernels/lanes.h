// Lanes: how a row kernel spreads its work. A row kernel is a trivially copyable struct with
//
//   template <class Lanes> RETORT_HD void operator()(Lanes& lanes, int64_t row) const;
//   int64_t scratch_bytes() const;      // what one row asks of lanes.scratch<T>(), rounded per request to 64
//
// that treats one row (one sample) and never another, written once for every device:
//   lanes.each(n, f)            f(i) for i in [0, n), in any order
//   lanes.sum<T>(n, f)          sum of f(i), the same value in every lane
//   lanes.max<T>(n, f)          maximum of f(i)
//   lanes.first_max(n, f)       the smallest i where f(i) is largest
//   lanes.scratch<T>(n)         n elements shared by the lanes of this row, until the row ends
//   lanes.rank_descending(n, keys, order)   order[r] = index of the r-th largest key, equal keys by index
//   lanes.leader()              true in one lane: for writing a row's single result
//   lanes.sync()                makes what lanes wrote to memory visible to the others of the row; each, sum
//                               and max do not imply it
// On the host a row has one lane; on a GPU a warp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/kernels/host_device.h"

namespace retort {

RETORT_HD size_t lane_scratch_bytes(size_t bytes) { return (bytes + 63) / 64 * 64; }

// One lane. Isa only makes the type, and with it every instantiation, distinct per instruction set.
template <class Isa>
class HostLanes {
 public:
  explicit HostLanes(void* scratch) : scratch_(static_cast<char*>(scratch)) {}

  template <class F>
  RETORT_HD void each(int64_t n, F f) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) f(i);
  }
  template <class T, class F>
  RETORT_HD T sum(int64_t n, F f) {
    T total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; ++i) total += f(i);
    return total;
  }
  template <class T, class F>
  RETORT_HD T max(int64_t n, F f) {
    T largest = -T(__builtin_huge_val());
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; ++i) {
      const T value = f(i);
      largest = value > largest ? value : largest;
    }
    return largest;
  }
  template <class F>
  RETORT_HD int64_t first_max(int64_t n, F f) {
    int64_t best = 0;
    auto largest = f(0);
    for (int64_t i = 1; i < n; ++i) {
      const auto value = f(i);
      if (value > largest) {
        largest = value;
        best = i;
      }
    }
    return best;
  }
  template <class T>
  RETORT_HD T* scratch(int64_t n) {
    T* data = reinterpret_cast<T*>(scratch_);
    scratch_ += lane_scratch_bytes(size_t(n) * sizeof(T));
    return data;
  }
  // By counting for each key how many come before it: n^2 compares, but they vectorise; faster than a sort up
  // to a few hundred keys. Beyond that a merge sort.
  template <class T>
  RETORT_HD void rank_descending(int64_t n, const T* keys, int32_t* order) {
    if (n <= 320) {
      for (int64_t i = 0; i < n; ++i) {
        const T key = keys[i];
        int32_t rank = 0;
#pragma omp simd reduction(+ : rank)
        for (int64_t j = 0; j < i; ++j) rank += keys[j] >= key;
#pragma omp simd reduction(+ : rank)
        for (int64_t j = i + 1; j < n; ++j) rank += keys[j] > key;
        order[rank] = int32_t(i);
      }
      return;
    }
    char* mark = scratch_;
    int32_t* from = order;
    int32_t* to = scratch<int32_t>(n);
    for (int64_t i = 0; i < n; ++i) from[i] = int32_t(i);
    for (int64_t width = 1; width < n; width *= 2) {
      for (int64_t begin = 0; begin < n; begin += 2 * width) {
        const int64_t middle = begin + width < n ? begin + width : n;
        const int64_t end = begin + 2 * width < n ? begin + 2 * width : n;
        int64_t left = begin, right = middle;
        for (int64_t k = begin; k < end; ++k) {
          const bool take_left = left < middle && (right >= end || keys[from[left]] >= keys[from[right]]);
          to[k] = take_left ? from[left++] : from[right++];
        }
      }
      int32_t* swap = from;
      from = to;
      to = swap;
    }
    if (from != order) memcpy(order, from, size_t(n) * sizeof(int32_t));
    scratch_ = mark;
  }
  RETORT_HD bool leader() const { return true; }
  RETORT_HD void sync() {}

 private:
  char* scratch_;
};

// Scratch that rank_descending takes besides its arguments.
RETORT_HD size_t rank_scratch_bytes(int64_t n) { return lane_scratch_bytes(size_t(n) * sizeof(int32_t)); }

}  // namespace retort
