// Portable: pooling. One task per image; the inner loops run over channels.
#include <algorithm>

#include "engine/cpu/conv/channel_kernels.h"
#include "engine/cpu/portable.h"
#include "engine/types.h"

namespace retort {

namespace {

// The part of the window at output (i, j) that lies inside the image.
struct Window {
  int64_t top, bottom, left, right;
};

Window window_at(const Pool2dSpec& spec, int64_t i, int64_t j, int64_t height, int64_t width) {
  const int64_t top = i * spec.stride - spec.pad, left = j * spec.stride - spec.pad;
  return {std::max<int64_t>(top, 0), std::min<int64_t>(top + spec.kernel, height), std::max<int64_t>(left, 0),
          std::min<int64_t>(left + spec.kernel, width)};
}

}  // namespace

void Portable::pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) {
  const int64_t in = x.shape.size() / x.shape[0], out = y.shape.size() / y.shape[0];
  with_real_type(x.type, "pool2d", [&]<class T>() {
    const auto& kernels = channel_kernels<T>(isa_);
    const T* from = x.as<T>();
    T* to = y.as<T>();
    int32_t* at = argmax ? argmax.as<int32_t>() : nullptr;
    pool_.run(x.shape[0], [&](int64_t n, int) {
      const Pooling<T> image = {from + n * in, x.shape[1], x.shape[2], x.shape[3],   spec.kernel,
                                spec.stride,   spec.pad,   y.shape[1], y.shape[2],   to + n * out,
                                at ? at + n * out : nullptr, n * in};
      if (spec.kind == Pool2dSpec::average)
        kernels.average_pool(image);
      else
        kernels.max_pool(image);
    });
  });
}

void Portable::pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax, const Sink& dx) {
  const Shape& s = dx.to.shape;
  const int64_t height = s[1], width = s[2], channels = s[3], out_height = dy.shape[1], out_width = dy.shape[2];
  with_real_type(dy.type, "pool2d_gradient", [&]<class T>() {
    const T share = T(1) / T(spec.kernel * spec.kernel);
    pool_.run(s[0], [&](int64_t n, int) {
      T* to = dx.to.as<T>();
      const int64_t image = n * height * width * channels;
      if (!dx.accumulates()) std::fill(to + image, to + image + height * width * channels, T(0));
      for (int64_t i = 0; i < out_height; ++i) {
        for (int64_t j = 0; j < out_width; ++j) {
          const int64_t from = ((n * out_height + i) * out_width + j) * channels;
          const T* d = dy.as<T>() + from;
          if (spec.kind == Pool2dSpec::maximum) {
            const int32_t* at = argmax.as<int32_t>() + from;
            for (int64_t c = 0; c < channels; ++c) to[at[c]] += d[c];
            continue;
          }
          const Window w = window_at(spec, i, j, height, width);
          for (int64_t h = w.top; h < w.bottom; ++h) {
            for (int64_t v = w.left; v < w.right; ++v) {
              T* out = to + image + (h * width + v) * channels;
              for (int64_t c = 0; c < channels; ++c) out[c] += d[c] * share;
            }
          }
        }
      }
    });
  });
}

void Portable::global_average(const Tensor& x, const Tensor& y) {
  const int64_t places = x.shape[1] * x.shape[2], channels = x.shape[3];
  with_real_type(x.type, "global_average", [&]<class T>() {
    const auto& kernels = channel_kernels<T>(isa_);
    const T* from = x.as<T>();
    T* to = y.as<T>();
    pool_.run(x.shape[0], [&](int64_t n, int) {
      kernels.global_average(from + n * places * channels, places, channels, to + n * channels);
    });
  });
}

void Portable::global_average_gradient(const Tensor& dy, const Sink& dx) {
  const int64_t places = dx.to.shape[1] * dx.to.shape[2], channels = dx.to.shape[3];
  with_real_type(dy.type, "global_average_gradient", [&]<class T>() {
    const T share = T(1) / T(places);
    pool_.run(dx.to.shape[0], [&](int64_t n, int) {
      T* out = dx.to.as<T>() + n * places * channels;
      const T* d = dy.as<T>() + n * channels;
      for (int64_t p = 0; p < places; ++p) {
        for (int64_t c = 0; c < channels; ++c) {
          const T value = d[c] * share;
          out[p * channels + c] = dx.accumulates() ? out[p * channels + c] + value : value;
        }
      }
    });
  });
}

}  // namespace retort
