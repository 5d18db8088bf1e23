#include "engine/cpu/conv/channel_kernels.h"

#include "engine/cpu/column_loops.h"
#include "engine/cpu/simd.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/run_rows.h"

namespace retort {

namespace {

// The part of the window at output (i, j) that lies inside the image.
struct Window {
  int64_t top, bottom, left, right;
};

template <class T>
RETORT_HD Window window_at(const Pooling<T>& p, int64_t i, int64_t j) {
  const int64_t top = i * p.stride - p.pad, left = j * p.stride - p.pad;
  return {top > 0 ? top : 0, top + p.kernel < p.height ? top + p.kernel : p.height, left > 0 ? left : 0,
          left + p.kernel < p.width ? left + p.kernel : p.width};
}

// f(window, out) for every output position; out is where its channels begin in y.
template <class T, class F>
RETORT_HD void for_windows(const Pooling<T>& p, F f) {
  for (int64_t i = 0; i < p.out_height; ++i)
    for (int64_t j = 0; j < p.out_width; ++j) f(window_at(p, i, j), (i * p.out_width + j) * p.channels);
}

template <class T>
void average_pool(const Pooling<T>& p) {
  const T share = T(1) / T(p.kernel * p.kernel);
  for_windows(p, [&](const Window& w, int64_t to) RETORT_FLAT {
    T* out = p.y + to;
    for (int64_t c = 0; c < p.channels; ++c) out[c] = T(0);
    for (int64_t h = w.top; h < w.bottom; ++h) {
      for (int64_t v = w.left; v < w.right; ++v) {
        const T* from = p.x + (h * p.width + v) * p.channels;
        for (int64_t c = 0; c < p.channels; ++c) out[c] += from[c];
      }
    }
    for (int64_t c = 0; c < p.channels; ++c) out[c] *= share;
  });
}

template <class T, bool has_argmax>
void max_pool_as(const Pooling<T>& p) {
  const int64_t channels = p.channels;
  for_windows(p, [&](const Window& w, int64_t to) RETORT_FLAT {
    T* out = p.y + to;
    int32_t* at = has_argmax ? p.argmax + to : nullptr;
    const int64_t start = (w.top * p.width + w.left) * channels;
    for (int64_t c = 0; c < channels; ++c) {
      out[c] = p.x[start + c];
      if constexpr (has_argmax) at[c] = int32_t(p.argmax_offset + start + c);
    }
    for (int64_t h = w.top; h < w.bottom; ++h) {
      for (int64_t v = w.left; v < w.right; ++v) {
        const T* from = p.x + (h * p.width + v) * channels;
        const int32_t place = int32_t(p.argmax_offset + (h * p.width + v) * channels);
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
          const T value = from[c], best = out[c];
          const bool larger = !(value <= best) && best == best;
          out[c] = larger ? value : best;
          if constexpr (has_argmax) at[c] = larger ? place + int32_t(c) : at[c];
        }
      }
    }
  });
}

template <class T>
void max_pool(const Pooling<T>& p) {
  if (p.argmax)
    max_pool_as<T, true>(p);
  else
    max_pool_as<T, false>(p);
}

template <class T>
void global_average(const T* x, int64_t places, int64_t channels, T* y) {
  for (int64_t c = 0; c < channels; ++c) y[c] = T(0);
  for (int64_t p = 0; p < places; ++p)
    for (int64_t c = 0; c < channels; ++c) y[c] += x[p * channels + c];
  const T share = T(1) / T(places);
  for (int64_t c = 0; c < channels; ++c) y[c] *= share;
}

template <class T, bool has_add, bool has_relu>
void affine_as(const T* x, const T* add, int64_t rows, int64_t channels, const T* const* params, T* y) {
  for_columns<T, 3>(rows, channels, params, [=](int64_t i, int64_t j, const Lanes<T, 3>& lanes) {
    T value = lanes.v[0][j] * (x[i] - lanes.v[1][j]) + lanes.v[2][j];
    if constexpr (has_add) value += add[i];
    if constexpr (has_relu) value = value < T(0) ? T(0) : value;
    y[i] = value;
  });
}

template <class T>
void affine(const T* x, const T* add, bool relu, int64_t rows, int64_t channels, const T* scale,
            const T* mean, const T* shift, T* y) {
  const T* const params[3] = {scale, mean, shift};
  if (add && relu)
    affine_as<T, true, true>(x, add, rows, channels, params, y);
  else if (add)
    affine_as<T, true, false>(x, add, rows, channels, params, y);
  else if (relu)
    affine_as<T, false, true>(x, add, rows, channels, params, y);
  else
    affine_as<T, false, false>(x, add, rows, channels, params, y);
}

template <class T>
void relu(const T* x, T* y, int64_t n) {
  const UnaryFormula<Unary::relu> formula = {1, 0};
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = formula.value(x[i]);
}

template <class T>
void add(const T* a, const T* b, T* y, int64_t n) {
  const BinaryFormula<Binary::add> formula;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = formula.value(a[i], b[i]);
}

template <class T>
void shuffle(const T* x, T* y, int64_t rows, int64_t groups, int64_t size) {
  const ShuffleRow<T> kernel = {x, y, groups, size};
  HostLanes<IsaTag<this_isa>> lanes(nullptr);
  for (int64_t row = 0; row < rows; ++row) kernel(lanes, row);
}

template <class T>
constexpr ChannelKernels<T> table = {max_pool<T>, average_pool<T>, global_average<T>, affine<T>,
                                     relu<T>,     add<T>,          shuffle<T>};

}  // namespace

template <>
const ChannelKernels<float>& channel_kernels<float, Isa::RETORT_ISA>() {
  return table<float>;
}
template <>
const ChannelKernels<double>& channel_kernels<double, Isa::RETORT_ISA>() {
  return table<double>;
}

}  // namespace retort
