// What inference needs beside convolutions, over N,H,W,C with the inner loops over channels: pooling, the
// affine map of a batch norm, ReLU, sums, channel shuffle. Plain functions over pointers, compiled once per
// instruction set; no exceptions, no RTTI, no C++ library.
#pragma once
#include <stdint.h>

#include "engine/isa.h"

namespace retort {

// Pooling of one image, x of height x width x channels, to y of out_height x out_width x channels.
template <class T>
struct Pooling {
  const T* x;
  int64_t height, width, channels;
  int64_t kernel, stride, pad;
  int64_t out_height, out_width;
  T* y;
  int32_t* argmax;        // or null; of maxima: where they were, plus argmax_offset
  int64_t argmax_offset;  // of this image's first element
};

template <class T>
struct ChannelKernels {
  // The first at a tie; NaN is the largest.
  void (*max_pool)(const Pooling<T>&);
  // Counts the padding.
  void (*average_pool)(const Pooling<T>&);
  // y[c] = mean over places of x[place, c].
  void (*global_average)(const T* x, int64_t places, int64_t channels, T* y);
  // y = relu?(scale (x - mean) + shift + add) per channel; add may be null.
  void (*affine)(const T* x, const T* add, bool relu, int64_t rows, int64_t channels, const T* scale,
                 const T* mean, const T* shift, T* y);
  void (*relu)(const T* x, T* y, int64_t n);
  void (*add)(const T* a, const T* b, T* y, int64_t n);
  // Channel g size + j goes to j groups + g.
  void (*shuffle)(const T* x, T* y, int64_t rows, int64_t groups, int64_t size);
};

template <class T, Isa isa>
const ChannelKernels<T>& channel_kernels();

template <class T>
const ChannelKernels<T>& channel_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return channel_kernels<T, compiled(Isa::avx512)>();
    case Isa::avx2:
      return channel_kernels<T, compiled(Isa::avx2)>();
    default:
      return channel_kernels<T, Isa::baseline>();
  }
}

}  // namespace retort
