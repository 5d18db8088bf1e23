// Compiled once per instruction set, see resize_kernels.h.
#include "datasets/formats/resize_kernels.h"

#include "engine/cpu/simd.h"

namespace retort {
namespace {

constexpr int32_t half = 1 << (resize_weight_bits - 1);

template <int n>
struct Wide {
  typedef uint8_t Bytes __attribute__((vector_size(n), aligned(1), may_alias));
  typedef int32_t Sums __attribute__((vector_size(4 * n)));
};

template <int n>
RETORT_HD typename Wide<n>::Sums widened(const uint8_t* from) {
  return __builtin_convertvector(*reinterpret_cast<const typename Wide<n>::Bytes*>(from),
                                 typename Wide<n>::Sums);
}

template <int n>
RETORT_HD void store_rounded(typename Wide<n>::Sums sums, uint8_t* to) {
  *reinterpret_cast<typename Wide<n>::Bytes*>(to) =
      __builtin_convertvector(sums >> resize_weight_bits, typename Wide<n>::Bytes);
}

}  // namespace

template <>
void ResizeLoops<this_isa>::along(const uint8_t* row, const ResizeTaps* taps, int places, uint8_t* to) {
  for (int i = 0; i < places; ++i, to += 3) {
    const uint8_t* from = row + 3 * int64_t(taps[i].first);
    Wide<4>::Sums sums = {half, half, half, half};
    for (int k = 0; k < taps[i].count; ++k) sums += widened<4>(from + 3 * k) * taps[i].weights[k];
    store_rounded<4>(sums, to);  // the fourth is the next pixel's, which is written after it
  }
}

template <>
void ResizeLoops<this_isa>::across(const uint8_t* rows, int64_t stride, ResizeTaps taps, int64_t bytes,
                                   uint8_t* to) {
  constexpr int n = lanes<int32_t>;
  int64_t j = 0;
  for (; j + 2 * n <= bytes; j += 2 * n) {
    typename Wide<n>::Sums a = typename Wide<n>::Sums{} + half, b = a;
    for (int k = 0; k < taps.count; ++k) {
      a += widened<n>(rows + k * stride + j) * taps.weights[k];
      b += widened<n>(rows + k * stride + j + n) * taps.weights[k];
    }
    store_rounded<n>(a, to + j);
    store_rounded<n>(b, to + j + n);
  }
  for (; j < bytes; ++j) {
    int32_t sum = half;
    for (int k = 0; k < taps.count; ++k) sum += rows[k * stride + j] * taps.weights[k];
    to[j] = uint8_t(sum >> resize_weight_bits);
  }
}

}  // namespace retort
