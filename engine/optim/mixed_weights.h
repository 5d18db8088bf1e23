// What the optimiser's kernel is given where convolution weights are kept in 16 bits too.
#pragma once
#include <cstdint>

#include "engine/kernels/host_device.h"
#include "engine/tensor.h"

namespace retort {

// The optimiser's flat arrays where convolution weights are also kept in 16 bits, as kernels read them, and
// their gradients come in 16 bits: the first `narrow` elements of w. What is f32 only follows them. Of the
// first `images` elements, the weights that read images, each run of `channels` takes `spread` places in
// rounded and rounded_g: what is between them is 0 in rounded and of no meaning in rounded_g.
struct MixedWeights {
  Tensor w, v;                // f32, n
  Tensor g;                   // f32, n - narrow: of w[narrow] and what follows
  Tensor rounded, rounded_g;  // f16 or bf16, place(narrow) elements
  int64_t narrow = 0, images = 0;
  int64_t channels = 1, spread = 1;
  int64_t spread_images = 0;  // places that the first `images` elements take

  // Where element i < narrow of w is in rounded and rounded_g.
  RETORT_HD int64_t place(int64_t i) const {
    return i < images ? i / channels * spread + i % channels : i - images + spread_images;
  }
};

}  // namespace retort
