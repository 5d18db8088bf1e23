// A convolution's forward pass: how it is summed, and its packed weights. Portable packs them for every call,
// the embeddable library once.
#pragma once
#include "engine/cpu/conv/winograd.h"

namespace retort {

// x is images x height x width x channels; y has `outputs` channels; weights K,R,S,C/groups.
struct ConvShape {
  int64_t images, height, width, channels;
  int64_t outputs, kernel_rows, kernel_columns;
  int64_t stride, pad, groups;

  int64_t out_height() const { return (height + 2 * pad - kernel_rows) / stride + 1; }
  int64_t out_width() const { return (width + 2 * pad - kernel_columns) / stride + 1; }
};

// x seen by the windows of the output positions.
template <class T>
Source<T> windows_of(const T* x, const ConvShape& shape) {
  Source<T> source;
  source.data = x;
  source.images = shape.images;
  source.image_height = shape.height;
  source.image_width = shape.width;
  source.groups = shape.groups;
  source.channels = shape.channels / shape.groups;
  source.pixel_step = shape.channels;
  source.channel_step = 1;
  source.top = source.left = -shape.pad;
  source.stride = shape.stride;
  source.rows = shape.kernel_rows;
  source.columns = shape.kernel_columns;
  source.height = shape.out_height();
  source.width = shape.out_width();
  return source;
}

// One kernel per channel: a depthwise source has all channels in one group. False if it is not such a
// convolution, or has too few channels.
template <class T>
bool make_depthwise(const ConvRunner<T>& runner, int64_t outputs, Source<T>* source, Target<T>* target) {
  if (source->channels != 1 || outputs != 1 || !runner.can_do_depthwise(source->groups)) return false;
  source->channels = source->groups;
  source->groups = 1;
  if (target) target->channels = source->channels;
  return true;
}

template <class T>
class ForwardConv {
 public:
  // Depthwise convolutions, and those that Winograd cannot compute, have sums of their own either way.
  enum class Sums { direct, winograd };
  ForwardConv(const Workers& workers, const ConvShape& shape, Sums sums);
  // The same packed weights serve many calls, with up to shape.images images each; how the sums are made is
  // chosen by the shape of one image.
  ForwardConv(const Workers& workers, const ConvShape& shape);

  // Elements.
  int64_t packed_size() const;
  // Elements of scratch that each thread needs in run() with up to shape.images images.
  int64_t scratch_size() const;
  void pack(const T* weights, T* packed) const;
  // y = relu?(conv(x) + bias + add) for `images` images; bias and add may be null, add may be y.
  void run(const T* x, int64_t images, const T* packed, const T* bias, const T* add, bool relu, T* y) const;

 private:
  enum class Method { direct, depthwise, winograd };

  const ConvShape shape_;
  ConvRunner<T> runner_;
  Winograd winograd_;
  Source<T> source_;
  Target<T> target_;
  Method method_ = Method::direct;
  int64_t chunk_ = 0;  // direct: output channels packed together
};

}  // namespace retort
