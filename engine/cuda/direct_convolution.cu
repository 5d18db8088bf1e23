// Convolutions written out, for shapes that cuDNN has no engine for and for groups of one channel
// (depthwise). Gradients gather or sum in a fixed order.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort {

namespace {

// y[n,i,j,k], a thread each.
template <class X>
cudaError_t forward_of(cudaStream_t stream, ConvShape s, const void* x, const void* w, const float* bias,
                       const void* add, bool relu, void* y) {
  const X *in = static_cast<const X*>(x), *weights = static_cast<const X*>(w),
          *residual = static_cast<const X*>(add);
  X* out = static_cast<X*>(y);
  return launch_each(stream, s.images * s.out_height * s.out_width * s.filters, [=] __device__(int64_t at) {
    const Quotient filter = divide(at, s.filters);
    const Quotient column = divide(filter.quotient, s.out_width);
    const Quotient row = divide(column.quotient, s.out_height);
    const int64_t k = filter.rest, group_channels = s.channels / s.groups;
    const int64_t group = divide(k, s.filters / s.groups).quotient;
    float total = bias ? bias[k] : 0.0f;
    for (int64_t r = 0; r < s.kernel_height; ++r) {
      const int64_t h = row.rest * s.stride + r - s.pad;
      if (h < 0 || h >= s.height) continue;
      for (int64_t q = 0; q < s.kernel_width; ++q) {
        const int64_t v = column.rest * s.stride + q - s.pad;
        if (v < 0 || v >= s.width) continue;
        const X* from =
            in + ((row.quotient * s.height + h) * s.width + v) * s.channels + group * group_channels;
        const X* by = weights + ((k * s.kernel_height + r) * s.kernel_width + q) * group_channels;
        for (int64_t c = 0; c < group_channels; ++c) total += to_float(from[c]) * to_float(by[c]);
      }
    }
    if (residual) total += to_float(residual[at]);
    out[at] = from_float<X>(relu && total < 0.0f ? 0.0f : total);
  });
}

// dx[n,h,v,c], a thread each: the outputs that this place has a part in.
template <class X>
cudaError_t input_gradient_of(cudaStream_t stream, ConvShape s, const void* dy, const void* w, void* dx,
                              bool accumulate) {
  const X *d = static_cast<const X*>(dy), *weights = static_cast<const X*>(w);
  X* to = static_cast<X*>(dx);
  return launch_each(stream, s.images * s.height * s.width * s.channels, [=] __device__(int64_t at) {
    const Quotient channel = divide(at, s.channels);
    const Quotient column = divide(channel.quotient, s.width);
    const Quotient row = divide(column.quotient, s.height);
    const int64_t group_channels = s.channels / s.groups, group_filters = s.filters / s.groups;
    const Quotient in_group = divide(channel.rest, group_channels);
    const int64_t first = in_group.quotient * group_filters;
    float total = 0;
    for (int64_t r = 0; r < s.kernel_height; ++r) {
      const int64_t up = row.rest + s.pad - r;  // i stride
      if (up < 0 || up % s.stride != 0 || up / s.stride >= s.out_height) continue;
      for (int64_t q = 0; q < s.kernel_width; ++q) {
        const int64_t left = column.rest + s.pad - q;
        if (left < 0 || left % s.stride != 0 || left / s.stride >= s.out_width) continue;
        const X* from =
            d + ((row.quotient * s.out_height + up / s.stride) * s.out_width + left / s.stride) * s.filters +
            first;
        const X* by =
            weights + ((first * s.kernel_height + r) * s.kernel_width + q) * group_channels + in_group.rest;
        const int64_t filter_step = s.kernel_height * s.kernel_width * group_channels;
        for (int64_t k = 0; k < group_filters; ++k)
          total += to_float(from[k]) * to_float(by[k * filter_step]);
      }
    }
    put(to + at, total, accumulate);
  });
}

// Places of the output that one block sums over. The number of blocks depends on the shape only.
int64_t places_per_block(const ConvShape& s) {
  const int64_t places = s.images * s.out_height * s.out_width;
  const int64_t weights = s.filters * s.kernel_height * s.kernel_width * (s.channels / s.groups);
  // About a million products in flight, but parts of at least 256 places, or the second phase would dominate.
  int64_t blocks = 65536 / (weights > 0 ? weights : 1);
  blocks = blocks < 1 ? 1 : blocks > 256 ? 256 : blocks;
  const int64_t each = (places + blocks - 1) / blocks;
  return each < 256 ? 256 : each;
}

int64_t blocks_of_places(const ConvShape& s) {
  const int64_t each = places_per_block(s);
  return (s.images * s.out_height * s.out_width + each - 1) / each;
}

// partial[b][k,r,q,c] over the places of part b. Block (t, b): 32 neighbouring weights by 8 threads over the
// places. Neighbouring weights are neighbouring channels, or, in groups of one channel, neighbouring filters.
template <class X>
__global__ void __launch_bounds__(threads_per_block)
    weight_gradient_parts(ConvShape s, const X* x, const X* dy, int64_t per_block, float* partial) {
  __shared__ float of_group[8][33];
  const int lane = int(threadIdx.x % 32), thread_row = int(threadIdx.x / 32);
  const int64_t group_channels = s.channels / s.groups, taps = s.kernel_height * s.kernel_width;
  const int64_t weights = s.filters * taps * group_channels;
  const int64_t i = int64_t(blockIdx.x) * 32 + lane;
  const int64_t places = s.images * s.out_height * s.out_width;
  const int64_t first = blockIdx.y * per_block, last = min(first + per_block, places);
  int64_t k = 0, tap = 0, c = 0;
  if (group_channels == 1) {
    const Quotient at = divide(i, s.filters);
    k = at.rest;
    tap = at.quotient;
  } else {
    const Quotient at = divide(i, group_channels);
    const Quotient filter = divide(at.quotient, taps);
    c = at.rest;
    tap = filter.rest;
    k = filter.quotient;
  }
  const int64_t r = tap / s.kernel_width, q = tap % s.kernel_width;
  float total = 0;
  if (i < weights) {
    const int64_t channel = k / (s.filters / s.groups) * group_channels + c;
    for (int64_t place = first + thread_row; place < last; place += 8) {
      const Quotient column = divide(place, s.out_width);
      const Quotient row = divide(column.quotient, s.out_height);
      const int64_t h = row.rest * s.stride + r - s.pad, v = column.rest * s.stride + q - s.pad;
      if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
      total += to_float(dy[place * s.filters + k]) *
               to_float(x[((row.quotient * s.height + h) * s.width + v) * s.channels + channel]);
    }
  }
  of_group[thread_row][lane] = total;
  __syncthreads();
  if (thread_row == 0 && i < weights) {
    for (int g = 1; g < 8; ++g) total += of_group[g][lane];
    partial[blockIdx.y * weights + (k * taps + tap) * group_channels + c] = total;
  }
}

template <class Y>
cudaError_t add_parts_of(cudaStream_t stream, const float* partial, int64_t parts, int64_t weights, void* dw,
                         bool accumulate) {
  Y* to = static_cast<Y*>(dw);
  return launch_each(stream, weights, [=] __device__(int64_t i) {
    float total = 0;
    for (int64_t p = 0; p < parts; ++p) total += partial[p * weights + i];
    put(to + i, total, accumulate);
  });
}

}  // namespace

cudaError_t direct_convolution_kernel(cudaStream_t stream, DType type, const ConvShape& shape, const void* x,
                                      const void* w, const float* bias, const void* add, bool relu, void* y) {
  return with_element(type,
                      [&]<class X>() { return forward_of<X>(stream, shape, x, w, bias, add, relu, y); });
}

cudaError_t direct_input_gradient_kernel(cudaStream_t stream, DType type, const ConvShape& shape,
                                         const void* dy, const void* w, void* dx, bool accumulate) {
  return with_element(type,
                      [&]<class X>() { return input_gradient_of<X>(stream, shape, dy, w, dx, accumulate); });
}

size_t direct_weight_gradient_scratch(const ConvShape& s) {
  const int64_t weights = s.filters * s.kernel_height * s.kernel_width * (s.channels / s.groups);
  return size_t(blocks_of_places(s) * weights) * sizeof(float);
}

cudaError_t direct_weight_gradient_kernel(cudaStream_t stream, DType type, const ConvShape& s, const void* x,
                                          const void* dy, DType dw_type, void* dw, bool accumulate,
                                          void* scratch) {
  const int64_t weights = s.filters * s.kernel_height * s.kernel_width * (s.channels / s.groups);
  const int64_t parts = blocks_of_places(s);
  float* partial = static_cast<float*>(scratch);
  if (weights == 0) return cudaSuccess;
  const cudaError_t status = with_element(type, [&]<class X>() {
    if (parts > 0)
      weight_gradient_parts<<<dim3(unsigned((weights + 31) / 32), unsigned(parts)), threads_per_block, 0,
                              stream>>>(s, static_cast<const X*>(x), static_cast<const X*>(dy),
                                        places_per_block(s), partial);
    return cudaGetLastError();
  });
  if (status != cudaSuccess) return status;
  return with_element(
      dw_type, [&]<class Y>() { return add_parts_of<Y>(stream, partial, parts, weights, dw, accumulate); });
}

}  // namespace retort
