// Loops over a matrix [rows, columns] whose columns are channels, so that narrow channel counts fill the vector
// registers too: where the columns divide 64, several rows are treated as one of 64. For files compiled per
// instruction set; everything here has internal linkage or is inlined.
#pragma once
#include <cstdint>

#include "engine/kernels/host_device.h"

namespace retort {
namespace {

constexpr int64_t wide = 64;     // columns of the wide rows that narrow ones are treated as
constexpr int64_t stripe = 512;  // columns that are taken at a time of wider ones: 2 KB in a row of memory

// `Params` arrays of per-channel values, those of a stripe or spread over the lanes of a wide row.
template <class T, int Params>
struct Lanes {
  alignas(64) T v[Params > 0 ? Params : 1][stripe];
};

template <class T, int Params>
RETORT_HD void spread(const T* const* params, int64_t first, int64_t count, int64_t columns,
                      Lanes<T, Params>& lanes) {
  for (int p = 0; p < Params; ++p)
    for (int64_t j = 0; j < count; ++j) lanes.v[p][j] = params[p][(first + j) % columns];
}

// f(i, j, lanes) for every element: i its index, lanes.v[p][j] the value of params[p] for its channel.
template <class T, int Params, class F>
RETORT_HD void for_columns(int64_t rows, int64_t columns, const T* const* params, F f) {
  Lanes<T, Params> lanes;
  if (columns <= wide && wide % columns == 0) {
    spread<T, Params>(params, 0, wide, columns, lanes);
    const int64_t n = rows * columns, full = n / wide * wide;
    for (int64_t base = 0; base < full; base += wide) {
#pragma omp simd
      for (int64_t j = 0; j < wide; ++j) f(base + j, j, lanes);
    }
    for (int64_t i = full; i < n; ++i) f(i, i - full, lanes);
    return;
  }
  for (int64_t c = 0; c < columns; c += stripe) {
    const int64_t width = columns - c < stripe ? columns - c : stripe;
    spread<T, Params>(params, c, width, columns, lanes);
    for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) f(r * columns + c + j, j, lanes);
    }
  }
}

// sums[q][c] = sum over rows of the values that f(i, j, lanes, total) adds to total[q][j] for the elements of
// channel c. (A small array for f's values, added here, would keep GCC 12 from vectorising.)
template <class T, int Sums, int Params, class F>
RETORT_HD void sum_columns(int64_t rows, int64_t columns, const T* const* params, T* const* sums, F f) {
  Lanes<T, Params> lanes;
  alignas(64) T total[Sums][stripe];
  if (columns <= wide && wide % columns == 0) {
    spread<T, Params>(params, 0, wide, columns, lanes);
    for (int q = 0; q < Sums; ++q)
      for (int64_t j = 0; j < wide; ++j) total[q][j] = 0;
    const int64_t n = rows * columns, full = n / wide * wide;
    for (int64_t base = 0; base < full; base += wide) {
#pragma omp simd
      for (int64_t j = 0; j < wide; ++j) f(base + j, j, lanes, total);
    }
    for (int64_t i = full; i < n; ++i) f(i, i - full, lanes, total);
    for (int q = 0; q < Sums; ++q) {
      for (int64_t c = 0; c < columns; ++c) {
        T sum = 0;
        for (int64_t j = c; j < wide; j += columns) sum += total[q][j];
        sums[q][c] = sum;
      }
    }
    return;
  }
  for (int64_t c = 0; c < columns; c += stripe) {
    const int64_t width = columns - c < stripe ? columns - c : stripe;
    spread<T, Params>(params, c, width, columns, lanes);
    for (int q = 0; q < Sums; ++q)
      for (int64_t j = 0; j < width; ++j) total[q][j] = 0;
    for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) f(r * columns + c + j, j, lanes, total);
    }
    for (int q = 0; q < Sums; ++q)
      for (int64_t j = 0; j < width; ++j) sums[q][c + j] = total[q][j];
  }
}

}  // namespace
}  // namespace retort
