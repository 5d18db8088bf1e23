// The row kernel of batched_transpose.h.
#pragma once
#include "engine/kernels/lanes.h"

namespace retort {

// y[b,j,i] = x[b,i,j] for x [b,m,n]. A row treats a strip of columns, so that what is read lies together.
template <class T>
struct BatchedTransposeRow {
  static constexpr const char* name = "batched_transpose";
  static constexpr int64_t width = 16;
  const T* x;
  T* y;
  int64_t m, n;
  bool accumulate;

  int64_t strips() const { return (n + width - 1) / width; }  // of a block
  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t of_block = (n + width - 1) / width;
    const int64_t block = row / of_block, first = row % of_block * width;
    const int64_t columns = first + width < n ? width : n - first;
    const int64_t height = m, stride = n;
    const T* from = x + block * m * n + first;
    T* to = y + block * m * n + first * m;
    const bool add = accumulate;
    for (int64_t j = 0; j < columns; ++j) {
      lanes.each(height, [=](int64_t i) {
        to[j * height + i] = (add ? to[j * height + i] : T(0)) + from[i * stride + j];
      });
    }
  }
};

}  // namespace retort
