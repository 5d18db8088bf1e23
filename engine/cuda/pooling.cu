// Pooling. A thread per result; gradients gather, so that overlapping windows need no atomics.
#include "engine/cuda/cuda_backend.h"
#include "engine/cuda/elements.cuh"

namespace retort {

namespace {

struct PoolShape {
  int64_t images, height, width, channels, out_height, out_width;
  int kernel, stride, pad;
};
PoolShape pool_shape(const Shape& x, const Shape& y, const Pool2dSpec& spec) {
  return {x[0], x[1], x[2], x[3], y[1], y[2], spec.kernel, spec.stride, spec.pad};
}

// Null: the average.
int32_t* argmax_of(const Tensor& argmax, const Pool2dSpec& spec) {
  return spec.kind == Pool2dSpec::maximum ? argmax.as<int32_t>() : nullptr;
}

struct Place {
  int64_t image, row, column, channel;
};
__device__ __forceinline__ Place place_of(int64_t i, int64_t height, int64_t width, int64_t channels) {
  const Quotient c = divide(i, channels);
  const Quotient w = divide(c.quotient, width);
  const Quotient h = divide(w.quotient, height);
  return {h.quotient, h.rest, w.rest, c.rest};
}

template <class X>
cudaError_t pool_of(cudaStream_t stream, PoolShape s, const void* x, void* y, int32_t* argmax) {
  const X* in = static_cast<const X*>(x);
  X* out = static_cast<X*>(y);
  return launch_each(stream, s.images * s.out_height * s.out_width * s.channels, [=] __device__(int64_t i) {
    const Place at = place_of(i, s.out_height, s.out_width, s.channels);
    const int64_t top = at.row * s.stride - s.pad, left = at.column * s.stride - s.pad;
    const int64_t h0 = max(top, int64_t(0)), h1 = min(top + s.kernel, s.height);
    const int64_t w0 = max(left, int64_t(0)), w1 = min(left + s.kernel, s.width);
    int64_t best = ((at.image * s.height + h0) * s.width + w0) * s.channels + at.channel;
    float largest = to_float(in[best]), total = 0;
    for (int64_t h = h0; h < h1; ++h) {
      for (int64_t w = w0; w < w1; ++w) {
        const int64_t from = ((at.image * s.height + h) * s.width + w) * s.channels + at.channel;
        const float value = to_float(in[from]);
        total += value;
        if (value > largest ||
            (value != value && largest == largest)) {  // the first at a tie, NaN the largest
          largest = value;
          best = from;
        }
      }
    }
    if (argmax) {
      out[i] = from_float<X>(largest);
      argmax[i] = int32_t(best);
    } else {
      out[i] = from_float<X>(total * (1.0f / float(s.kernel * s.kernel)));
    }
  });
}

template <class X>
cudaError_t pool_gradient_of(cudaStream_t stream, PoolShape s, const void* dy, const int32_t* argmax,
                             void* dx, bool accumulate) {
  const X* d = static_cast<const X*>(dy);
  X* to = static_cast<X*>(dx);
  return launch_each(stream, s.images * s.height * s.width * s.channels, [=] __device__(int64_t i) {
    const Place at = place_of(i, s.height, s.width, s.channels);
    // The windows that hold this place: i stride - pad <= row < i stride - pad + kernel.
    const int64_t row = at.row + s.pad, column = at.column + s.pad;
    const int64_t i0 = row < s.kernel ? 0 : (row - s.kernel) / s.stride + 1,
                  i1 = min(row / s.stride + 1, s.out_height);
    const int64_t j0 = column < s.kernel ? 0 : (column - s.kernel) / s.stride + 1,
                  j1 = min(column / s.stride + 1, s.out_width);
    float total = 0;
    for (int64_t r = i0; r < i1; ++r) {
      for (int64_t c = j0; c < j1; ++c) {
        const int64_t from = ((at.image * s.out_height + r) * s.out_width + c) * s.channels + at.channel;
        if (!argmax || argmax[from] == int32_t(i)) total += to_float(d[from]);
      }
    }
    put(to + i, argmax ? total : total * (1.0f / float(s.kernel * s.kernel)), accumulate);
  });
}

// A block per image and 32 channels: 32 channels by 8 places of threads.
template <class X, class Y>
__global__ void __launch_bounds__(threads_per_block)
    average_places(const X* x, int64_t places, int64_t channels, Y* y) {
  __shared__ float of_group[8][33];
  const int lane = int(threadIdx.x % 32), group = int(threadIdx.x / 32);
  const int64_t channel = int64_t(blockIdx.y) * 32 + lane, image = blockIdx.x;
  float total = 0;
  if (channel < channels)
    for (int64_t p = group; p < places; p += 8)
      total += to_float(x[(image * places + p) * channels + channel]);
  of_group[group][lane] = total;
  __syncthreads();
  if (group == 0 && channel < channels) {
    for (int i = 1; i < 8; ++i) total += of_group[i][lane];
    y[image * channels + channel] = from_float<Y>(total * (1.0f / float(places)));
  }
}

template <class D, class X>
cudaError_t average_gradient_of(cudaStream_t stream, const void* dy, void* dx, int64_t images, int64_t places,
                                int64_t channels, bool accumulate) {
  const D* d = static_cast<const D*>(dy);
  X* to = static_cast<X*>(dx);
  const float share = 1.0f / float(places);
  return launch_each(stream, images * places * channels, [=] __device__(int64_t i) {
    const Quotient pixel = divide(i, channels);
    const int64_t image = divide(pixel.quotient, places).quotient;
    put(to + i, to_float(d[image * channels + pixel.rest]) * share, accumulate);
  });
}

// The other side of a global average has the images' type or is f32.
template <class F>
cudaError_t with_element_and_other(DType type, DType other, F f) {
  if (type == other) return with_element(type, [&]<class X>() { return f.template operator()<X, X>(); });
  if (other != DType::f32) return cudaErrorInvalidValue;
  return with_element(type, [&]<class X>() { return f.template operator()<X, float>(); });
}

}  // namespace

void Cuda::pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) {
  check(x.size() <= INT32_MAX, "pool2d: x ", x.shape, " has more elements than an i32 can number");
  check_cuda(with_element(x.type,
                          [&]<class X>() {
                            return pool_of<X>(stream(), pool_shape(x.shape, y.shape, spec), x.data, y.data,
                                              argmax_of(argmax, spec));
                          }),
             "pool2d of ", x.shape, " ", x.type);
}

void Cuda::pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax, const Sink& dx) {
  if (!dx) return;
  const PoolShape shape = pool_shape(dx.to.shape, dy.shape, spec);
  check_cuda(with_element(dy.type,
                          [&]<class X>() {
                            return pool_gradient_of<X>(stream(), shape, dy.data, argmax_of(argmax, spec),
                                                       dx.to.data, dx.accumulates());
                          }),
             "pool2d_gradient of ", dx.to.shape, " ", dy.type);
}

void Cuda::global_average(const Tensor& x, const Tensor& y) {
  const int64_t images = x.shape[0], places = x.shape[1] * x.shape[2], channels = x.shape[3];
  if (images == 0) return;
  const dim3 blocks(unsigned(images), unsigned((channels + 31) / 32));
  check_cuda(with_element_and_other(x.type, y.type,
                                    [&]<class X, class Y>() {
                                      average_places<<<blocks, threads_per_block, 0, stream()>>>(
                                          static_cast<const X*>(x.data), places, channels,
                                          static_cast<Y*>(y.data));
                                      return cudaGetLastError();
                                    }),
             "global_average of ", x.shape, " ", x.type);
}

void Cuda::global_average_gradient(const Tensor& dy, const Sink& dx) {
  if (!dx) return;
  const Shape& s = dx.to.shape;
  check_cuda(with_element_and_other(dx.to.type, dy.type,
                                    [&]<class X, class D>() {
                                      return average_gradient_of<D, X>(stream(), dy.data, dx.to.data, s[0],
                                                                       s[1] * s[2], s[3], dx.accumulates());
                                    }),
             "global_average_gradient of ", s, " ", dx.to.type);
}

}  // namespace retort
