// Register blocks, the panels of packed weights that go with them, and what follows a convolution's sums. For
// files compiled per instruction set.
#pragma once
#include "engine/cpu/conv/conv_work.h"
#include "engine/cpu/simd.h"

namespace retort {
namespace {

// Register blocks. correlate: pixels x vectors of outputs; weight_gradient: outputs x vectors of the run.
// With 32 registers 8 x 3 sums, 3 operands and a broadcast; with 16 there is room for 12 sums.
constexpr bool many_registers = this_isa == Isa::avx512;
constexpr int block_pixels = many_registers ? 8 : 6;
constexpr int block_vectors = many_registers ? 3 : 2;
constexpr int gradient_outputs = many_registers ? 8 : 4;
constexpr int gradient_vectors = 3;
constexpr int gradient_positions = many_registers ? 256 : 128;

// `count` vectors are cut into panels of nearly equal width, at most `widest`.
struct Panels {
  int64_t count, vectors;
  int64_t first(int64_t panel) const { return panel * vectors / count; }
};

inline Panels panels_of(int64_t elements, int lanes, int widest) {
  const int64_t vectors = (elements + lanes - 1) / lanes;
  return {(vectors + widest - 1) / widest, vectors};
}

// One vector of outputs, the first of them `channel`, of the position whose results begin at `at`.
template <class T>
RETORT_HD void finish(const Correlation<T>& p, Vector<T> sum, Vector<T> bias, int64_t at, int64_t channel) {
  sum += bias;
  if (p.add) sum += load(p.add + at + channel);
  if (p.relu) sum = sum < T(0) ? Vector<T>{} : sum;
  store(p.y.data + at + channel, sum);
}

// The same for `count` outputs that do not fill a vector. Out of line, and the sums in memory: indexing sums
// that are in registers by a variable would put all of them into memory.
template <class T>
__attribute__((noinline)) void finish_tail(const Correlation<T>& p, const T* sums, int64_t at,
                                           int64_t channel, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    T sum = sums[k] + (p.bias ? p.bias[channel + k] : T(0));
    if (p.add) sum += p.add[at + channel + k];
    p.y.data[at + channel + k] = p.relu && sum < T(0) ? T(0) : sum;
  }
}

// to (=|+=) count sums, as above.
template <class T>
__attribute__((noinline)) void store_tail(const T* sums, int64_t count, bool accumulate, T* to) {
  for (int64_t t = 0; t < count; ++t) to[t] = accumulate ? to[t] + sums[t] : sums[t];
}

// Steps through the positions of a grid in order.
struct Position {
  int64_t n = 0, i = 0, j = 0;
  template <class Problem>
  RETORT_HD void next(const Problem& p) {
    if (++j == p.width) {
      j = 0;
      if (++i == p.height) i = 0, ++n;
    }
  }
};

// Calls f.operator()<pixels>(x, y) for all positions in blocks of `widest`, then of 4, 2 and 1 pixels: x
// points at the pixels' windows, y holds where their results begin.
template <class T, int widest, class F>
RETORT_HD void for_pixel_blocks(const Correlation<T>& p, F f) {
  Position at;
  const T* x[widest];
  int64_t y[widest];
  int64_t left = p.images * p.height * p.width;
  const auto block = [&]<int pixels>() RETORT_FLAT {
    for (int m = 0; m < pixels; ++m, at.next(p)) {
      x[m] = p.x.x + at.n * p.x.image + at.i * p.x.row + at.j * p.x.pixel;
      y[m] = at.n * p.y.image + at.i * p.y.row + at.j * p.y.pixel;
    }
    f.template operator()<pixels>(x, y);
    left -= pixels;
  };
  while (left >= widest) block.template operator()<widest>();
  if (left >= 4) block.template operator()<4>();
  if (left >= 2) block.template operator()<2>();
  if (left) block.template operator()<1>();
}

}  // namespace
}  // namespace retort
