// Blocks of elements copied into blocks of other extents and types: what padding channels for cuDNN, taking
// the padding off again, and adding a result to what is there have in common.
#pragma once
#include <cuda_runtime_api.h>

#include "engine/cuda/block.h"
#include "engine/shape.h"

namespace retort {

// to[i] = from[i] where the place i lies in both blocks, 0 where it lies in `to` only; or to[i] += ..., the
// sum taken in f32. from may be null: zeros. Types f32, f16, bf16.
cudaError_t copy_block(cudaStream_t stream, DType from_type, const void* from, const Block& from_block,
                       DType to_type, void* to, const Block& to_block, bool accumulate);

// y = relu?(y + bias + add), y rows x columns; bias (f32 or the type of y, one per column) and add may be
// null.
cudaError_t conv_epilogue(cudaStream_t stream, DType type, void* y, int64_t rows, int64_t columns,
                          DType bias_type, const void* bias, const void* add, bool relu);

}  // namespace retort
