// Lanes: how a row kernel spreads its work. A row kernel is a trivially copyable struct with
//
//   template <class Lanes> RETORT_HD void operator()(Lanes& lanes, int64_t row) const;
//   int64_t scratch_bytes() const;      // what one row asks of lanes.scratch<T>(), rounded per request to 64
//
// that treats one row (one sample) and never another, written once for every device:
//   lanes.each(n, f)            f(i) for i in [0, n), in any order; for one n always the same i in a lane
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

RETORT_HD size_t lane_scratch_bytes(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Integers in the order of the floating-point numbers, but totally ordered: the zeros are equal, NaN is
// largest.
template <class T>
struct OrderedKey;
template <>
struct OrderedKey<float> {
  using type = int32_t;
  using unsigned_type = uint32_t;
  static constexpr int32_t largest = INT32_MAX;
  static RETORT_HD int32_t of(float x) {
    x += 0.0f;  // -0 becomes 0
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x == x ? bits ^ ((bits >> 31) & INT32_MAX) : INT32_MAX;
  }
};
template <>
struct OrderedKey<double> {
  using type = int64_t;
  using unsigned_type = uint64_t;
  static constexpr int64_t largest = INT64_MAX;
  static RETORT_HD int64_t of(double x) {
    x += 0.0;
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x == x ? bits ^ ((bits >> 63) & INT64_MAX) : INT64_MAX;
  }
};

// Up to here counting is faster than a radix sort (measured with AVX2 and AVX-512, f32).
constexpr int64_t rank_by_counting_limit = 256;

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
  // Any keys give a permutation; NaN comes first.
  template <class T>
  RETORT_HD void rank_descending(int64_t n, const T* keys, int32_t* order) {
    char* mark = scratch_;
    if (n <= rank_by_counting_limit)
      rank_by_counting(n, keys, order);
    else
      rank_by_radix(n, keys, order);
    scratch_ = mark;
  }
  RETORT_HD bool leader() const {
    return true;
  }
  RETORT_HD void sync() {}

 private:
  // Counts for each key how many come before it: n^2 compares, but they vectorise without a branch. ahead[i]
  // is key i, less one as long as it has not been its turn: then "larger than ahead[i]" counts equal keys of
  // lower index and no others. Four keys take their turn at once; what ties among them miss is added by hand.
  template <class T>
  RETORT_HD void rank_by_counting(int64_t n, const T* keys, int32_t* order) {
    using Key = typename OrderedKey<T>::type;
    const int64_t padded = (n + 15) / 16 * 16;
    Key* ahead = scratch<Key>(padded);
    int32_t* rank = scratch<int32_t>(padded);
    for (int64_t i = n; i < padded; ++i) ahead[i] = OrderedKey<T>::largest;
    each(n, [=](int64_t i) { ahead[i] = OrderedKey<T>::of(keys[i]) - 1; });
    each(padded, [=](int64_t i) { rank[i] = 0; });
    int64_t j = 0;
    for (; j + 4 <= n; j += 4) {
      const Key a = ++ahead[j], b = ++ahead[j + 1], c = ++ahead[j + 2], d = ++ahead[j + 3];
      each(padded,
           [=](int64_t i) { rank[i] += (a > ahead[i]) + (b > ahead[i]) + (c > ahead[i]) + (d > ahead[i]); });
      rank[j + 1] += a == b;
      rank[j + 2] += (a == c) + (b == c);
      rank[j + 3] += (a == d) + (b == d) + (c == d);
    }
    for (; j < n; ++j) {
      const Key a = ++ahead[j];
      each(padded, [=](int64_t i) { rank[i] += a > ahead[i]; });
    }
    for (int64_t i = 0; i < n; ++i) order[rank[i]] = int32_t(i);
  }

  // A stable radix sort of the indices, a byte of the key at a time.
  template <class T>
  RETORT_HD void rank_by_radix(int64_t n, const T* keys, int32_t* order) {
    using Key = typename OrderedKey<T>::unsigned_type;
    Key* ascending = scratch<Key>(n);  // falls as the key rises
    int32_t* to = scratch<int32_t>(n);
    int32_t* from = order;
    each(n, [=](int64_t i) {
      ascending[i] = Key(OrderedKey<T>::largest) - Key(OrderedKey<T>::of(keys[i]));
      from[i] = int32_t(i);
    });
    for (int shift = 0; shift < int(8 * sizeof(Key)); shift += 8) {
      int32_t first[256] = {};  // of each value of the byte: its count, then its first place
      for (int64_t i = 0; i < n; ++i) ++first[(ascending[i] >> shift) & 255];
      int32_t place = 0;
      for (int32_t& f : first) {
        const int32_t count = f;
        f = place;
        place += count;
      }
      for (int64_t i = 0; i < n; ++i) to[first[(ascending[from[i]] >> shift) & 255]++] = from[i];
      int32_t* swap = from;
      from = to;
      to = swap;
    }
    // An even number of passes: the result is in order.
  }

  char* scratch_;
};

// Scratch that rank_descending takes besides its arguments.
template <class T>
RETORT_HD size_t rank_scratch_bytes(int64_t n) {
  return lane_scratch_bytes(size_t(n + 15) * sizeof(T)) +
         lane_scratch_bytes(size_t(n + 15) * sizeof(int32_t));
}

}  // namespace retort
