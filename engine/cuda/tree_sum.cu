// The sum over processes, in the order of engine/distributed/tree.h.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/tree_sum.h"

namespace retort {

// As TreeSum: a stack of subtrees, of which two of one height are added at once; one that is absent leaves the other as it
// is. What of a stack is absent is the same for all numbers.
cudaError_t tree_sum_kernel(cudaStream_t stream, float* own, int own_rank, const float* slices, int64_t count, int ranks,
                            uint64_t gives) {
  return launch_each(stream, count, [=] __device__(int64_t i) {
    float sums[most_summed_ranks_log2 + 1] = {};
    int heights[most_summed_ranks_log2 + 1] = {};
    bool there[most_summed_ranks_log2 + 1] = {};
    int top = -1;
    const auto merge = [&] {
      sums[top - 1] = !there[top] ? sums[top - 1] : there[top - 1] ? sums[top - 1] + sums[top] : sums[top];
      there[top - 1] = there[top - 1] || there[top];
      ++heights[--top];
    };
    for (int rank = 0; rank < ranks; ++rank) {
      ++top;
      heights[top] = 0;
      there[top] = gives >> rank & 1;
      sums[top] = !there[top] ? 0.0f : rank == own_rank ? own[i] : slices[rank * count + i];
      while (top > 0 && heights[top - 1] == heights[top]) merge();
    }
    while (top > 0) merge();
    own[i] = sums[0];
  });
}

}  // namespace retort
