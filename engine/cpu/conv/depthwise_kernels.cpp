#include "engine/cpu/conv/depthwise_kernels.h"

#include "engine/cpu/conv/conv_blocks.h"

namespace retort {

namespace {

// The channels are cut into vectors; the last one is shifted to end with the last channel, and only its last
// channels, those after the vector before it, are written.
struct ChannelVector {
  int64_t first, skip;  // first channel, and how many of the vector were done before
};

template <class T>
RETORT_HD ChannelVector channel_vector(int64_t index, int64_t channels) {
  const int64_t first = index * lanes<T>, last = channels - lanes<T>;
  return first <= last ? ChannelVector{first, 0} : ChannelVector{last, first - last};
}

template <class T, int pixels>
void correlate_block(const Correlation<T>& p, const T* const* x, const int64_t* y) {
  using V = Vector<T>;
  const int64_t channels = p.outputs, vectors = (channels + lanes<T> - 1) / lanes<T>;
  for (int64_t index = 0; index < vectors; ++index) {
    const ChannelVector c = channel_vector<T>(index, channels);
    V sum[pixels] = {};
    const T* w = p.w + c.first;
    for (int64_t r = 0; r < p.x.taps; ++r) {
      for (int64_t t = r * p.x.tap_step + c.first; t < r * p.x.tap_step + p.x.run;
           t += channels, w += channels) {
        const V weight = load(w);
        unroll<pixels>([&](int m) RETORT_FLAT { sum[m] += load(x[m] + t) * weight; });
      }
    }
    if (c.skip == 0) {
      const V bias = p.bias ? load(p.bias + c.first) : V{};
      unroll<pixels>([&](int m) RETORT_FLAT { finish(p, sum[m], bias, y[m], c.first); });
    } else {
      V spilled[pixels];
      unroll<pixels>([&](int m) RETORT_FLAT { spilled[m] = sum[m]; });
      for (int m = 0; m < pixels; ++m)
        finish_tail(p, reinterpret_cast<const T*>(spilled + m) + c.skip, y[m], c.first + c.skip,
                    lanes<T> - c.skip);
    }
  }
}

template <class T>
void correlate(const Correlation<T>& p) {
  for_pixel_blocks<T, 8>(
      p, [&]<int pixels>(const T* const* x, const int64_t* y) { correlate_block<T, pixels>(p, x, y); });
}

// dw of one vector of channels for `taps` kernel elements, offset[t] apart from the window's first element.
template <class T, int taps>
void gradient_block(const WeightGradient<T>& p, const ChannelVector& c, const int64_t* offset, T* dw) {
  using V = Vector<T>;
  V sum[taps] = {};
  int64_t at[taps];
  unroll<taps>([&](int t) RETORT_FLAT { at[t] = offset[t]; });
  for (int64_t image = 0; image < p.images; ++image) {
    for (int64_t i = 0; i < p.height; ++i) {
      const T* dy = p.dy.data + image * p.dy.image + i * p.dy.row + c.first;
      const T* x = p.x.x + image * p.x.image + i * p.x.row + c.first;
      for (int64_t j = 0; j < p.width; ++j, dy += p.dy.pixel, x += p.x.pixel) {
        const V d = load(dy);
        unroll<taps>([&](int t) RETORT_FLAT { sum[t] += d * load(x + at[t]); });
      }
    }
  }
  unroll<taps>([&](int t) RETORT_FLAT {
    T* to = dw + t * p.outputs + c.first;
    if (c.skip == 0) {
      store(to, p.accumulate ? load(to) + sum[t] : sum[t]);
    } else {
      const V spilled = sum[t];
      store_tail(reinterpret_cast<const T*>(&spilled) + c.skip, lanes<T> - c.skip, p.accumulate, to + c.skip);
    }
  });
}

constexpr int most_taps = 9;

// gradient_block for a number of taps known at run time.
template <class T, int most = most_taps>
void gradient_taps(int64_t taps, const WeightGradient<T>& p, const ChannelVector& c, const int64_t* offset,
                   T* dw) {
  if constexpr (most > 0) {
    if (taps == most)
      gradient_block<T, most>(p, c, offset, dw);
    else
      gradient_taps<T, most - 1>(taps, p, c, offset, dw);
  }
}

template <class T>
void weight_gradient(const WeightGradient<T>& p) {
  const int64_t channels = p.outputs, vectors = (channels + lanes<T> - 1) / lanes<T>;
  const int64_t columns = p.x.run / channels, taps = p.x.taps * columns;
  for (int64_t index = 0; index < vectors; ++index) {
    const ChannelVector c = channel_vector<T>(index, channels);
    for (int64_t first = 0; first < taps; first += most_taps) {
      const int64_t count = taps - first < most_taps ? taps - first : most_taps;
      int64_t offset[most_taps];
      for (int64_t t = 0; t < count; ++t)
        offset[t] = (first + t) / columns * p.x.tap_step + (first + t) % columns * channels;
      gradient_taps(count, p, c, offset, p.dw + first * channels);
    }
  }
}

template <class T>
constexpr DepthwiseKernels<T> table = {lanes<T>, correlate<T>, weight_gradient<T>};

}  // namespace

template <>
const DepthwiseKernels<float>& depthwise_kernels<float, Isa::RETORT_ISA>() {
  return table<float>;
}
template <>
const DepthwiseKernels<double>& depthwise_kernels<double, Isa::RETORT_ISA>() {
  return table<double>;
}

}  // namespace retort
