// Batch norm in training, of the CPU backends, over a matrix [rows, channels]. Compiled once per instruction set.
#pragma once
#include <cstdint>

#include "engine/isa.h"

namespace retort {

// What the gradient kernels read: a block of rows, and per-channel values.
template <class T>
struct BatchNormBlock {
  const T* x;
  const T* y;  // null without ReLU: dy is masked where y <= 0
  const T* dy;
  int64_t rows, channels;
};

template <class T>
struct BatchNormKernels {
  // Mean and sum of squared deviations of a block.
  void (*moments)(const T* x, int64_t rows, int64_t channels, T* mean, T* squares);
  // sum_g = sum g, sum_gx = sum g (x - mean) inverse_std.
  void (*gradient_sums)(const BatchNormBlock<T>& block, const T* mean, const T* inverse_std, T* sum_g, T* sum_gx);
  // dx (=|+=) a g + b (x - mean) + c per channel, dadd (=|+=) g; each may be null.
  void (*gradient)(const BatchNormBlock<T>& block, const T* mean, const T* a, const T* b, const T* c, T* dx,
                   bool dx_accumulates, T* dadd, bool dadd_accumulates);
};

template <class T, Isa isa>
const BatchNormKernels<T>& batch_norm_kernels();

template <class T>
const BatchNormKernels<T>& batch_norm_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512: return batch_norm_kernels<T, compiled(Isa::avx512)>();
    case Isa::avx2: return batch_norm_kernels<T, compiled(Isa::avx2)>();
    default: return batch_norm_kernels<T, Isa::baseline>();
  }
}

}  // namespace retort
