#include "engine/cpu/conv/conv_kernels.h"

#include "engine/cpu/conv/conv_blocks.h"

namespace retort {

namespace {

template <class T>
void pad(const Padding<T>& p) {
  const int64_t row_bytes = p.columns * p.channels * int64_t(sizeof(T));
  // Columns [left, right) of the rectangle are inside the image.
  const int64_t left = p.left < 0 ? (-p.left < p.columns ? -p.left : p.columns) : 0;
  int64_t right = p.width - p.left < p.columns ? p.width - p.left : p.columns;
  if (right < left) right = left;
  const int64_t inside = (right - left) * p.channels * int64_t(sizeof(T));
  T* to = p.to;
  for (int64_t i = p.top; i < p.top + p.rows; ++i, to += p.columns * p.channels) {
    if (i < 0 || i >= p.height || inside == 0) {
      __builtin_memset(to, 0, size_t(row_bytes));
      continue;
    }
    const T* from = p.from + (i * p.width + p.left + left) * p.pixel_step;
    __builtin_memset(to, 0, size_t(left * p.channels) * sizeof(T));
    if (p.pixel_step == p.channels && p.channel_step == 1) {
      __builtin_memcpy(to + left * p.channels, from, size_t(inside));
    } else {
      for (int64_t j = left; j < right; ++j, from += p.pixel_step)
        for (int64_t c = 0; c < p.channels; ++c) to[j * p.channels + c] = from[c * p.channel_step];
    }
    __builtin_memset(to + right * p.channels, 0, size_t((p.columns - right) * p.channels) * sizeof(T));
  }
}

// Panels one after the other; in a panel, for each element, its outputs side by side. Outputs that do not
// exist are 0.
template <class T>
void pack(const Packing<T>& p) {
  const Panels panels = panels_of(p.outputs, lanes<T>, block_vectors);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t first = panels.first(panel) * lanes<T>;
    const int64_t width = panels.first(panel + 1) * lanes<T> - first;
    const int64_t wanted = p.outputs - first < width ? p.outputs - first : width;
    const T* from = p.from + first * p.output_step;
    T* to = p.to + first * p.length + p.first * width;
    for (int64_t e = 0; e < p.count; ++e, from += p.element_step, to += width) {
      if (p.output_step == 1) {
        for (int64_t k = 0; k < wanted; ++k) to[k] = from[k];
      } else {
        for (int64_t k = 0; k < wanted; ++k) to[k] = from[k * p.output_step];
      }
      for (int64_t k = wanted; k < width; ++k) to[k] = T(0);
    }
  }
}

// Sums for `pixels` positions x `vectors` vectors of outputs, and what follows them. x and y point at the
// positions' windows and results; width is the number of outputs that exist in this panel.
template <class T, int pixels, int vectors>
void correlate_block(const Correlation<T>& p, const T* const* x, const int64_t* y, const T* w, int64_t first,
                     int64_t width) {
  using V = Vector<T>;
  constexpr int n = lanes<T>;
  V sum[pixels][vectors] = {};
  for (int64_t r = 0; r < p.x.taps; ++r) {
    const T* operand[pixels];
    unroll<pixels>([&](int m) RETORT_FLAT { operand[m] = x[m] + r * p.x.tap_step; });
    for (int64_t t = 0; t < p.x.run; ++t, w += vectors * n) {
      V weight[vectors];
      unroll<vectors>([&](int v) RETORT_FLAT { weight[v] = load(w + v * n); });
      unroll<pixels>([&](int m) RETORT_FLAT {
        const T value = operand[m][t];
        unroll<vectors>([&](int v) RETORT_FLAT { sum[m][v] += value * weight[v]; });
      });
    }
  }
  unroll<vectors>([&](int v) RETORT_FLAT {
    const int64_t channel = first + v * n, wanted = width - v * n;
    if (wanted >= n) {
      const V bias = p.bias ? load(p.bias + channel) : V{};
      unroll<pixels>([&](int m) RETORT_FLAT { finish(p, sum[m][v], bias, y[m], channel); });
    } else {
      V spilled[pixels];
      unroll<pixels>([&](int m) RETORT_FLAT { spilled[m] = sum[m][v]; });
      for (int m = 0; m < pixels; ++m)
        finish_tail(p, reinterpret_cast<const T*>(spilled + m), y[m], channel, wanted);
    }
  });
}

// All positions for one panel of `vectors` vectors of outputs.
template <class T, int vectors>
void correlate_panel(const Correlation<T>& p, const T* w, int64_t first, int64_t width) {
  for_pixel_blocks<T, block_pixels>(p, [&]<int pixels>(const T* const* x, const int64_t* y) {
    correlate_block<T, pixels, vectors>(p, x, y, w, first, width);
  });
}

template <class T>
void correlate(const Correlation<T>& p) {
  const Panels panels = panels_of(p.outputs, lanes<T>, block_vectors);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t vectors = panels.first(panel + 1) - panels.first(panel);
    const int64_t first = panels.first(panel) * lanes<T>;
    const T* w = p.w + first * p.x.taps * p.x.run;
    const int64_t width = p.outputs - first < vectors * lanes<T> ? p.outputs - first : vectors * lanes<T>;
    if (vectors == 1) correlate_panel<T, 1>(p, w, first, width);
    if (vectors == 2) correlate_panel<T, 2>(p, w, first, width);
    if constexpr (block_vectors > 2) {
      if (vectors == 3) correlate_panel<T, 3>(p, w, first, width);
    }
  }
}

// dw of `outputs` output channels x `vectors` vectors of one kernel row, over all positions. dy and x point
// at the first output and the first element of the run.
template <class T, int outputs, int vectors>
void gradient_block(const WeightGradient<T>& p, const T* dy, const T* x, T* dw, int64_t width) {
  using V = Vector<T>;
  constexpr int n = lanes<T>;
  V sum[outputs][vectors] = {};
  for (int64_t image = 0; image < p.images; ++image) {
    for (int64_t i = 0; i < p.height; ++i) {
      const T* d = dy + image * p.dy.image + i * p.dy.row;
      const T* operand = x + image * p.x.image + i * p.x.row;
      for (int64_t j = 0; j < p.width; ++j, d += p.dy.pixel, operand += p.x.pixel) {
        V value[vectors];
        unroll<vectors>([&](int v) RETORT_FLAT { value[v] = load(operand + v * n); });
        unroll<outputs>([&](int k) RETORT_FLAT {
          const T factor = d[k];
          unroll<vectors>([&](int v) RETORT_FLAT { sum[k][v] += factor * value[v]; });
        });
      }
    }
  }
  const int64_t output_step = p.x.taps * p.x.run;
  unroll<vectors>([&](int v) RETORT_FLAT {
    T* to = dw + v * n;
    const int64_t wanted = width - v * n;
    if (wanted >= n) {
      unroll<outputs>([&](int k) RETORT_FLAT {
        store(to + k * output_step, p.accumulate ? load(to + k * output_step) + sum[k][v] : sum[k][v]);
      });
    } else {
      V spilled[outputs];
      unroll<outputs>([&](int k) RETORT_FLAT { spilled[k] = sum[k][v]; });
      for (int k = 0; k < outputs; ++k)
        store_tail(reinterpret_cast<const T*>(spilled + k), wanted, p.accumulate, to + k * output_step);
    }
  });
}

template <class T, int vectors>
void gradient_panel(const WeightGradient<T>& p, const T* x, T* dw, int64_t width) {
  const int64_t output_step = p.x.taps * p.x.run;
  int64_t k = 0;
  for (; k + gradient_outputs <= p.outputs; k += gradient_outputs)
    gradient_block<T, gradient_outputs, vectors>(p, p.dy.data + k, x, dw + k * output_step, width);
  if constexpr (gradient_outputs > 4) {
    for (; k + 4 <= p.outputs; k += 4)
      gradient_block<T, 4, vectors>(p, p.dy.data + k, x, dw + k * output_step, width);
  }
  for (; k < p.outputs; ++k) gradient_block<T, 1, vectors>(p, p.dy.data + k, x, dw + k * output_step, width);
}

// A panel of x stays in the first-level cache while all outputs pass over it.
template <class T>
void weight_gradient(const WeightGradient<T>& p) {
  const Panels panels = panels_of(p.x.run, lanes<T>, gradient_vectors);
  for (int64_t r = 0; r < p.x.taps; ++r) {
    for (int64_t panel = 0; panel < panels.count; ++panel) {
      const int64_t vectors = panels.first(panel + 1) - panels.first(panel);
      const int64_t first = panels.first(panel) * lanes<T>;
      const int64_t width = p.x.run - first < vectors * lanes<T> ? p.x.run - first : vectors * lanes<T>;
      const T* x = p.x.x + r * p.x.tap_step + first;
      T* dw = p.dw + r * p.x.run + first;
      if (vectors == 1) gradient_panel<T, 1>(p, x, dw, width);
      if (vectors == 2) gradient_panel<T, 2>(p, x, dw, width);
      if (vectors == 3) gradient_panel<T, 3>(p, x, dw, width);
    }
  }
}

template <class T>
constexpr ConvKernels<T> table = {lanes<T>,          block_vectors* lanes<T>,
                                  gradient_outputs,  gradient_positions,
                                  lanes<T> - 1,      pad<T>,
                                  pack<T>,           correlate<T>,
                                  weight_gradient<T>};

}  // namespace

template <>
const ConvKernels<float>& conv_kernels<float, Isa::RETORT_ISA>() {
  return table<float>;
}
template <>
const ConvKernels<double>& conv_kernels<double, Isa::RETORT_ISA>() {
  return table<double>;
}

}  // namespace retort
