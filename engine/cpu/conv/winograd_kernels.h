// Winograd's F(4x4, 3x3) for convolutions with a 3x3 kernel and stride 1 on N,H,W,C (Lavin and Gray,
// arXiv:1509.09308): 4x4 tiles of results from 6x6 tiles of operands with 36 products per pair of channels,
// where the sums themselves take 144. Per 1-d slice, with w a kernel row, d the operands, y the results:
//   y = A' [(G w) * (B' d)],   dw = G' [(A dy) * (B' d)];
// dx is a correlation again. The elements of a transformed tile are called frequencies here; for each of the
// 36 the sum over channels is a matrix product, done by ConvKernels.
//
// The matrices belong to the points 0, 3/4, -3/4, 3/2, -3/2 and infinity, whose powers are exact in f32. With
// them the error is 2 to 3 times that of direct summation in y and dx, 2 to 5 times in dw (root mean square,
// measured at 16 to 256 channels), about 1e-6 of the results; with the customary 0, 1, -1, 2, -2 it is twice
// that. On choosing points: Barabasz et al., arXiv:1803.10986.
//
// All channel counts are multiples of the lanes.
#pragma once
#include "engine/cpu/conv/conv_kernels.h"

namespace retort {

constexpr int winograd_frequencies = 36;
constexpr int winograd_tile = 4;    // results per side
constexpr int winograd_window = 6;  // operands per side

// Tiles in order (image, tile row, tile column); tile (n,i,j) begins at from + n image + 4 i row + 4 j pixel.
// Frequency f of channel c of tile t goes to to[f frequency + t channels + c].
template <class T>
struct WinogradTiles {
  const T* from;
  int64_t image, row, pixel;
  int64_t images, rows, columns;  // columns and rows of tiles
  int64_t channels;
  T* to;
  int64_t frequency;
};

// 3x3 weights: element (k,c,r,s) is from[k output_step + c channel_step + r row_step + s column_step].
template <class T>
struct WeightView {
  const T* from;
  int64_t output_step, channel_step, row_step, column_step;
};

// Channels [first, first + count) of weights of outputs x channels are transformed; frequency f is packed as
// by ConvKernels::pack (length channels) at to + f frequency.
template <class T>
struct WinogradWeights {
  WeightView<T> w;
  int64_t outputs, channels, first, count;
  T* to;
  int64_t frequency;
};

// dw[k,r,s,c] (+)= G' (sum of shards of from) G for k in [first, first + count); frequency f of shard i is at
// from[i shard
// + f frequency + k channels + c].
template <class T>
struct WinogradWeightGradient {
  const T* from;
  int64_t shards, shard, frequency;
  int64_t channels, first, count;
  T* dw;
  bool accumulate;
};

template <class T>
struct WinogradKernels {
  int lanes;
  void (*transform_input)(const WinogradTiles<T>&);      // B' d B, windows of 6x6
  void (*transform_gradient)(const WinogradTiles<T>&);   // A dy A', tiles of 4x4
  void (*transform_weights)(const WinogradWeights<T>&);  // G w G'
  // y = relu?(A' m A + bias + add) with m laid out as WinogradTiles::to, outputs for channels. images, height
  // and width of the problem say which results exist; x and w of it are not used.
  void (*finish)(const T* m, int64_t frequency, const Correlation<T>&);
  void (*finish_weight_gradient)(const WinogradWeightGradient<T>&);
};

// In f32 only: f64 is there for checks.
template <class T, Isa isa>
const WinogradKernels<T>& winograd_kernels();

template <class T>
const WinogradKernels<T>& winograd_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return winograd_kernels<T, compiled(Isa::avx512)>();
    case Isa::avx2:
      return winograd_kernels<T, compiled(Isa::avx2)>();
    default:
      return winograd_kernels<T, Isa::baseline>();
  }
}

}  // namespace retort
