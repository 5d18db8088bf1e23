// The arithmetic of convolutions and matrix products on the CPU: plain functions over pointers, compiled once
// per instruction set; no exceptions, no RTTI, no C++ library.
#pragma once
#include <stdint.h>

#include "engine/cpu/conv/conv_work.h"
#include "engine/isa.h"

namespace retort {

template <class T>
struct ConvKernels {
  int lanes;               // outputs are packed in multiples of this
  int panel;               // outputs of the widest register block of correlate
  int gradient_outputs;    // the same of weight_gradient
  int gradient_positions;  // so many positions stay in the first-level cache in weight_gradient
  int overread;            // see WeightGradient
  void (*pad)(const Padding<T>&);
  void (*pack)(const Packing<T>&);
  void (*correlate)(const Correlation<T>&);
  void (*weight_gradient)(const WeightGradient<T>&);

  // Elements of packed weights.
  int64_t packed_size(int64_t outputs, int64_t length) const {
    return (outputs + lanes - 1) / lanes * lanes * length;
  }
};

template <class T, Isa isa>
const ConvKernels<T>& conv_kernels();

template <class T>
const ConvKernels<T>& conv_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return conv_kernels<T, compiled(Isa::avx512)>();
    case Isa::avx2:
      return conv_kernels<T, compiled(Isa::avx2)>();
    default:
      return conv_kernels<T, Isa::baseline>();
  }
}

}  // namespace retort
