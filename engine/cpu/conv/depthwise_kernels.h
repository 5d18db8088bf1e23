// Depthwise convolutions on the CPU, one kernel per channel, vectorised over the channels. The structs are
// those of conv_work.h, read so: outputs = channels, and a run is columns x channels elements, the
// channels of one kernel column side by side. There are at least `lanes` channels.
#pragma once
#include "engine/cpu/conv/conv_kernels.h"

namespace retort {

template <class T>
struct DepthwiseKernels {
  int lanes;
  // y[n,i,j,c] = relu?(sum_{r,s} x[n,i,j,r,s,c] w[r,s,c] + bias[c] + add[n,i,j,c]).
  void (*correlate)(const Correlation<T>&);
  // dw[r,s,c] (+)= sum_{n,i,j} dy[n,i,j,c] x[n,i,j,r,s,c].
  void (*weight_gradient)(const WeightGradient<T>&);
};

template <class T, Isa isa>
const DepthwiseKernels<T>& depthwise_kernels();

template <class T>
const DepthwiseKernels<T>& depthwise_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return depthwise_kernels<T, compiled(Isa::avx512)>();
    case Isa::avx2:
      return depthwise_kernels<T, compiled(Isa::avx2)>();
    default:
      return depthwise_kernels<T, Isa::baseline>();
  }
}

}  // namespace retort
