// Cuts convolutions and matrix products into tasks for the thread pool and gives them to the kernels of
// conv_kernels.h. Tasks, and the order of every sum, depend on the problem only, never on the threads.
#pragma once
#include <algorithm>

#include "engine/cpu/conv/conv_kernels.h"
#include "engine/cpu/conv/depthwise_kernels.h"
#include "engine/cpu/workers.h"

namespace retort {

// Images read through a window of rows x columns pixels that moves by `stride`, from row `top` and column
// `left` (negative under padding; what lies outside is 0) to height x width positions. A forward pass reads x
// this way, an input gradient dy, a matrix product a matrix with `height` rows and one column. Channel c of
// group g of pixel (n,i,j) is data[((n image_height + i) image_width + j) pixel_step + (g channels + c)
// channel_step].
template <class T>
struct Source {
  const T* data;
  int64_t images, image_height, image_width;
  int64_t groups, channels;  // channels of one group
  int64_t pixel_step, channel_step;
  int64_t top, left, stride, rows, columns;
  int64_t height, width;

  int64_t run() const { return columns * channels; }
  int64_t length() const { return rows * run(); }  // elements of a window
  // True if windows can be read where they are: nothing is outside, and a row's elements are adjacent.
  bool direct() const {
    if (length() == 0) return true;
    return channel_step == 1 && top >= 0 && left >= 0 && top + (height - 1) * stride + rows <= image_height &&
           left + (width - 1) * stride + columns <= image_width && (columns == 1 || pixel_step == channels);
  }
};

// What becomes of the sums; channels are those of one group, `first output` of group g is g channels.
template <class T>
struct Target {
  Grid<T> y;
  int64_t channels;
  const T* bias;  // or null
  const T* add;   // steps as y, or null
  bool relu;
};

// A cut of images x rows of positions into parts of nearly equal size.
struct Parts {
  int64_t images, rows;  // of all
  int64_t image_parts, row_parts;
  int64_t count() const { return image_parts * row_parts; }
  int64_t first_image(int64_t part) const { return part / row_parts * images / image_parts; }
  int64_t end_image(int64_t part) const { return (part / row_parts + 1) * images / image_parts; }
  int64_t first_row(int64_t part) const { return part % row_parts * rows / row_parts; }
  int64_t end_row(int64_t part) const { return (part % row_parts + 1) * rows / row_parts; }
  int64_t most_images() const { return (images + image_parts - 1) / image_parts; }
  int64_t most_rows() const { return (rows + row_parts - 1) / row_parts; }
};

template <class T>
class ConvRunner {
 public:
  explicit ConvRunner(const Workers& workers);

  // y = relu?(sum over the window of x w + bias + add), in two steps, so that what never changes is packed
  // once. Output channels of a group are packed in chunks of this size.
  int64_t chunk_of(const Source<T>& x, const Target<T>& y) const {
    const int64_t work = x.images * x.height * x.width * x.length() * y.channels * x.groups;
    return output_chunk(x.groups * parts_of(x, y).count(), work, y.channels, kernels_.panel);
  }
  // Elements of packed weights.
  int64_t packed_size(const Source<T>& x, int64_t outputs) const {
    return x.groups * kernels_.packed_size(outputs, x.length());
  }
  // pack(kernels, group, first, count, to) packs the weights of output channels [first, first + count) of a
  // group.
  template <class Pack>
  void pack(const Source<T>& x, int64_t outputs, int64_t chunk, const Pack& pack, T* w) const {
    const int64_t chunks = (outputs + chunk - 1) / chunk, packed = kernels_.packed_size(outputs, x.length());
    workers_.run(x.groups * chunks, [&](int64_t task, int) {
      const int64_t group = task / chunks, first = task % chunks * chunk;
      pack(kernels_, group, first, std::min(chunk, outputs - first), w + group * packed + first * x.length());
    });
  }
  void correlate(const Source<T>& x, const Target<T>& y, int64_t chunk, const T* w) const;
  // Both, for weights that change.
  template <class Pack>
  void correlate(const Source<T>& x, const Target<T>& y, const Pack& pack) const {
    const int64_t chunk = chunk_of(x, y);
    T* w = workers_.template shared_scratch<T>(packed_size(x, y.channels));
    this->pack(x, y.channels, chunk, pack, w);
    correlate(x, y, chunk, w);
  }
  // Elements of scratch that each thread needs in correlate or depthwise.
  int64_t scratch_size(const Source<T>& x, const Target<T>& y) const;

  // dw[g,k,r,t] (+)= sum over positions of dy x, k < outputs of one group; dy is dense.
  void weight_gradient(const Source<T>& x, const T* dy, int64_t outputs, T* dw, bool accumulate) const;

  // The same for depthwise convolutions, in which x.groups is 1 and every channel goes to the one of its
  // number.
  bool can_do_depthwise(int64_t channels) const { return channels >= depthwise_.lanes; }
  // Weights are r,s,c.
  void depthwise(const Source<T>& x, const Target<T>& y, const T* w) const;
  // dw is c,r,s.
  void depthwise_weight_gradient(const Source<T>& x, const T* dy, T* dw, bool accumulate) const;

 private:
  static constexpr int64_t most_positions = 512;
  static constexpr int64_t wanted_tasks = 16;

  // Parts of about `positions` positions, smaller if there would be few, larger if there would be little work
  // in one (work: multiplications per position).
  Parts cut(const Source<T>& x, bool direct, int64_t work, int64_t positions) const;
  Parts parts_of(const Source<T>& x, const Target<T>& y) const {
    return cut(x, x.direct(), x.length() * y.channels, most_positions);
  }
  // Output channels per task, so that there are enough tasks where there are few parts; work of all; a
  // multiple.
  int64_t output_chunk(int64_t tasks, int64_t work, int64_t outputs, int64_t multiple) const;
  int64_t padded_size(const Source<T>& x, int64_t images, int64_t rows) const;
  // The windows of a part, in a padded copy unless direct.
  Windows<T> windows(const Source<T>& x, bool direct, const Parts& parts, int64_t part, int64_t group,
                     int thread) const;
  // The problems of one part: output channels [first, first + outputs) of a group.
  Correlation<T> part_of(const Source<T>& x, const Target<T>& y, const Parts& parts, int64_t part,
                         int64_t group, int64_t first, int64_t outputs, const T* w, int thread) const;
  WeightGradient<T> part_of(const Source<T>& x, bool direct, const Grid<const T>& dy, const Parts& parts,
                            int64_t part, int64_t group, int64_t channel, int64_t outputs, int thread) const;
  // Whether a weight gradient has the outputs in the lanes of vectors, and not the elements of a window's
  // row: of the 9 elements of 3 x 3 pixels of 3 channels, say, vectors would stay half empty. Outputs must
  // fill theirs, since nothing may be read behind dy.
  bool outputs_in_lanes(const Source<T>& x, int64_t outputs) const;
  // The number of partial sums of a weight gradient of `size` elements.
  int64_t shard_count(const Source<T>& x, const Parts& parts, int64_t size) const;

  const Workers workers_;
  const ConvKernels<T>& kernels_;
  const DepthwiseKernels<T>& depthwise_;
};

}  // namespace retort
