// What the kernels of convolutions and matrix products are asked to do: plain structures of pointers and
// extents.
//
// One picture serves everything: a grid of positions (the pixels of an image, the rows of a matrix), each
// with a window of operands: `taps` rows (kernel rows), tap_step elements apart, of `run` contiguous elements
// (kernel columns times channels, adjacent in N,H,W,C). Zero padding is written out in a copy of the image
// that fits the cache (`pad`), so that no kernel knows of borders.
#pragma once
#include <stdint.h>

namespace retort {

// Where the windows are: position (n,i,j) of images x height x width starts at x + n image + i row + j pixel.
template <class T>
struct Windows {
  const T* x;
  int64_t image, row, pixel;  // steps in elements
  int64_t taps, tap_step, run;
};

// An array over positions and channels: channel k of (n,i,j) is data[n image + i row + j pixel + k].
template <class T>
struct Grid {
  T* data;
  int64_t image, row, pixel;
};

// y[n,i,j,k] = relu?(sum_{r,t} x[n,i,j,r,t] w[k,r,t] + bias[k] + add[n,i,j,k]), k < outputs.
template <class T>
struct Correlation {
  int64_t images, height, width, outputs;
  Windows<T> x;
  const T* w;     // packed, see ConvKernels::pack
  const T* bias;  // or null
  const T* add;   // or null; steps as y, may be y
  bool relu;
  Grid<T> y;
};

// dw[k,r,t] (+)= sum_{n,i,j} dy[n,i,j,k] x[n,i,j,r,t]. Up to `overread` elements behind a run are read (and
// not used): they must be readable.
template <class T>
struct WeightGradient {
  int64_t images, height, width, outputs;
  Windows<T> x;
  Grid<const T> dy;
  T* dw;  // outputs, taps, run
  bool accumulate;
};

// A rectangle of an image (height x width pixels, pixel_step apart, of which `channels` are wanted,
// channel_step apart), from row `top` and column `left` (may be negative), rows x columns, written densely;
// what lies outside the image is 0.
template <class T>
struct Padding {
  const T* from;
  int64_t height, width, pixel_step, channels, channel_step;
  int64_t top, left, rows, columns;
  T* to;
};

// The weights of `outputs` channels, `length` elements each, in the order that correlate reads. Elements
// [first, first + count) are packed, element e of channel k from from[k output_step + (e - first)
// element_step].
template <class T>
struct Packing {
  const T* from;
  int64_t output_step, element_step;
  int64_t outputs, length, first, count;
  T* to;
};

}  // namespace retort
