#include "engine/cpu/conv/conv_runner.h"
#include "engine/cpu/portable.h"
#include "engine/types.h"

namespace retort {

namespace {

// A matrix as an image of one column, one pixel per row; transposed if said.
template <class T>
Source<T> rows_of(const Tensor& x, bool transposed) {
  const int64_t rows = x.shape[transposed ? 1 : 0], columns = x.shape[transposed ? 0 : 1];
  Source<T> source;
  source.data = x.as<T>();
  source.images = 1;
  source.image_height = source.height = rows;
  source.image_width = source.width = 1;
  source.groups = 1;
  source.channels = columns;
  source.pixel_step = transposed ? 1 : columns;
  source.channel_step = transposed ? rows : 1;
  source.top = source.left = 0;
  source.stride = source.rows = source.columns = 1;
  return source;
}

template <class T>
void product(const ConvRunner<T>& runner, const Tensor& a, bool transpose_a, const Tensor& b,
             bool transpose_b, const Tensor& bias, const Sink& c) {
  const int64_t rows = c.to.shape[0], columns = c.to.shape[1];
  T* to = c.to.as<T>();
  if (transpose_a && !bias) {
    // c[k,t] = sum_p a[p,k] op(b)[p,t]: a weight gradient.
    runner.weight_gradient(rows_of<T>(b, transpose_b), a.as<T>(), rows, to, c.accumulates());
    return;
  }
  const int64_t inner = a.shape[transpose_a ? 0 : 1];
  const T* weights = b.as<T>();
  const Target<T> target = {{to, 0, columns, columns},
                            columns,
                            bias ? bias.as<T>() : nullptr,
                            c.accumulates() ? to : nullptr,
                            false};
  runner.correlate(rows_of<T>(a, transpose_a), target,
                   [&](const ConvKernels<T>& kernels, int64_t, int64_t first, int64_t count, T* packed) {
                     if (transpose_b)
                       kernels.pack({weights + first * inner, inner, 1, count, inner, 0, inner, packed});
                     else
                       kernels.pack({weights + first, 1, columns, count, inner, 0, inner, packed});
                   });
}

// In tiles, so that both sides stay in the cache.
template <class T>
void transpose_rows(const T* x, int64_t rows, int64_t columns, int64_t first, int64_t last, bool accumulate,
                    T* y) {
  constexpr int64_t tile = 16;
  for (int64_t i0 = first; i0 < last; i0 += tile) {
    const int64_t i1 = std::min(i0 + tile, last);
    for (int64_t j0 = 0; j0 < columns; j0 += tile) {
      const int64_t j1 = std::min(j0 + tile, columns);
      for (int64_t j = j0; j < j1; ++j) {
        for (int64_t i = i0; i < i1; ++i) {
          T& to = y[j * rows + i];
          to = accumulate ? to + x[i * columns + j] : x[i * columns + j];
        }
      }
    }
  }
}

}  // namespace

void Portable::matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                      const Tensor& bias, const Sink& c) {
  if (!c) return;
  check_matmul(a, transpose_a, b, transpose_b, bias, c.to);
  with_real_type(a.type, "matmul", [&]<class T>() {
    product(ConvRunner<T>(workers()), a, transpose_a, b, transpose_b, bias, c);
  });
}

void Portable::transpose(const Tensor& x, const Sink& y) {
  if (!y) return;
  const Shape &from = x.shape, &to = y.to.shape;
  check(from.rank() == 2 && to.rank() == 2 && from[0] == to[1] && from[1] == to[0], "transpose: from ", from,
        " to ", to);
  with_real_type(x.type, "transpose", [&]<class T>() {
    const int64_t part = std::max<int64_t>(16384 / std::max<int64_t>(from[1], 1), 16);
    for_ranges(from[0], part, [&](int64_t first, int64_t last) {
      transpose_rows(x.as<T>(), from[0], from[1], first, last, y.accumulates(), y.to.as<T>());
    });
  });
}

void Portable::linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) {
  if (dw) matmul(dy, true, x, false, {}, dw);
  if (dbias) reduce_sum(dy, 1.0, dbias);
}

}  // namespace retort
