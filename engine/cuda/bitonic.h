// The comparisons of a bitonic sort in the form that always puts the smaller number first: a merge of two
// sorted halves begins by comparing each number with its mirror image. Numbers at n and beyond count as
// infinite; they would never be moved, so comparisons with them are left out, and any n will do, not only
// powers of two.
#pragma once
#include <cstdint>

#include "engine/kernels/host_device.h"

namespace retort {

struct Comparison {
  int64_t low, high;  // afterwards the smaller number is at low
};

// The pair-th comparison (0, 1, ...) of the stage (size, step); the stages are
//   for (size = 2; size / 2 < n; size *= 2) for (step = size / 2; step > 0; step /= 2)
// and the comparisons of a stage, those with low < n, are independent of each other.
RETORT_HD Comparison bitonic_comparison(int64_t pair, int64_t size, int64_t step) {
  const int64_t low = pair / step * 2 * step + pair % step;
  return {low, step == size / 2 ? low / size * size + (size - 1 - low % size) : low + step};
}

}  // namespace retort
