// The sum over processes as a kernel.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace retort {

constexpr int most_summed_ranks_log2 = 6, most_summed_ranks = 1 << most_summed_ranks_log2;

// own (count numbers) becomes the sum over the ranks that give something (bits of `gives`), in the order of
// engine/distributed/tree.h: of rank r the numbers slices[r * count + i], of own_rank what is in own.
cudaError_t tree_sum_kernel(cudaStream_t stream, float* own, int own_rank, const float* slices, int64_t count,
                            int ranks, uint64_t gives);

}  // namespace retort
