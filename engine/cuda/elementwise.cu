// Element-wise kernels; the formulas are those of engine/kernels/elementwise.h.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"
#include "engine/kernels/loss_scale.h"

namespace retort {

namespace {

// One kernel for all kinds: the choice is the same for all threads, and the memory is what takes the time.
__device__ __forceinline__ float unary_value(const UnaryOp& op, float x) {
  float y = 0;
  with_formula(op, [&](auto formula) { y = formula.value(x); });
  return y;
}

__device__ __forceinline__ float unary_derivative(const UnaryOp& op, float x, float y) {
  float slope = 0;
  with_formula(op, [&](auto formula) { slope = formula.derivative(x, y); });
  return slope;
}

__device__ __forceinline__ float binary_value(Binary op, float a, float b) {
  float y = 0;
  with_formula(op, [&](auto formula) { y = formula.value(a, b); });
  return y;
}

template <class T>
cudaError_t fill_of(cudaStream_t stream, void* to, T value, int64_t n) {
  T* out = static_cast<T*>(to);
  return launch_each(stream, n, [=] __device__(int64_t i) { out[i] = value; });
}

template <class X>
cudaError_t fill_of_float(cudaStream_t stream, void* to, float value, int64_t n) {
  X* out = static_cast<X*>(to);
  return launch_each(stream, n, [=] __device__(int64_t i) { out[i] = from_float<X>(value); });
}

template <class X, class Y>
cudaError_t cast_of(cudaStream_t stream, const void* from, void* to, int64_t n, bool accumulate) {
  const X* in = static_cast<const X*>(from);
  Y* out = static_cast<Y*>(to);
  return launch_each(stream, n, [=] __device__(int64_t i) { put(out + i, to_float(in[i]), accumulate); });
}

template <class X>
cudaError_t unary_of(cudaStream_t stream, UnaryOp op, const void* x, void* y, int64_t n, bool accumulate) {
  const X* in = static_cast<const X*>(x);
  X* out = static_cast<X*>(y);
  return launch_each(
      stream, n, [=] __device__(int64_t i) { put(out + i, unary_value(op, to_float(in[i])), accumulate); });
}

template <class X>
cudaError_t unary_gradient_of(cudaStream_t stream, UnaryOp op, const void* x, const void* y, const void* dy,
                              void* dx, int64_t n, bool accumulate) {
  const X *in = static_cast<const X*>(x), *out = static_cast<const X*>(y), *d = static_cast<const X*>(dy);
  X* to = static_cast<X*>(dx);
  return launch_each(stream, n, [=] __device__(int64_t i) {
    put(to + i, to_float(d[i]) * unary_derivative(op, to_float(in[i]), to_float(out[i])), accumulate);
  });
}

template <class X>
cudaError_t binary_of(cudaStream_t stream, Binary op, BroadcastOperand a, BroadcastOperand b, void* y,
                      int64_t rows, int64_t columns, bool accumulate) {
  const X *p = static_cast<const X*>(a.data), *q = static_cast<const X*>(b.data);
  X* out = static_cast<X*>(y);
  return launch_each(stream, rows * columns, [=] __device__(int64_t i) {
    const Quotient at = divide(i, columns);
    const float left = to_float(p[at.quotient * a.row_step + at.rest * a.column_step]);
    const float right = to_float(q[at.quotient * b.row_step + at.rest * b.column_step]);
    put(out + i, binary_value(op, left, right), accumulate);
  });
}

template <class X>
cudaError_t scale_of(cudaStream_t stream, const void* x, const double* scalar, double factor, void* y,
                     int64_t n, bool accumulate) {
  const X* in = static_cast<const X*>(x);
  X* out = static_cast<X*>(y);
  return launch_each(stream, n, [=] __device__(int64_t i) {
    put(out + i, float(*scalar * factor) * to_float(in[i]), accumulate);
  });
}

template <class X>
cudaError_t copy_columns_of(cudaStream_t stream, const void* from, int64_t from_columns, void* to,
                            int64_t to_columns, int64_t rows, int64_t count, bool accumulate) {
  const X* in = static_cast<const X*>(from);
  X* out = static_cast<X*>(to);
  return launch_each(stream, rows * count, [=] __device__(int64_t i) {
    const Quotient at = divide(i, count);
    put(out + at.quotient * to_columns + at.rest, to_float(in[at.quotient * from_columns + at.rest]),
        accumulate);
  });
}

// A step of one weight, its gradient scaled by what the loss scale's state says (null: not scaled). Returns
// whether there is one: none after a gradient that was not finite.
__device__ __forceinline__ bool scaled_step(float& w, float g, float& v, const double* lr, float momentum,
                                            float weight_decay, const double* loss_scale) {
  const float factor = loss_scale ? float(loss_scale[loss_scale_factor]) : 1.0f;
  if (factor == 0) return false;
  sgd_step(w, loss_scale ? g * factor : g, v, float(*lr), momentum, weight_decay);
  return true;
}

template <class X>
cudaError_t mixed_sgd_of(cudaStream_t stream, MixedWeights m, const double* lr, float momentum,
                         float weight_decay, const double* loss_scale) {
  float *w = m.w.as<float>(), *v = m.v.as<float>();
  const float* g = m.g.as<float>();
  X* rounded = static_cast<X*>(m.rounded.data);
  const X* rounded_g = static_cast<const X*>(m.rounded_g.data);
  return launch_each(stream, m.w.size(), [=] __device__(int64_t i) {
    const int64_t place = i < m.narrow ? m.place(i) : 0;
    const float slope = i < m.narrow ? to_float(rounded_g[place]) : g[i - m.narrow];
    if (scaled_step(w[i], slope, v[i], lr, momentum, weight_decay, loss_scale) && i < m.narrow)
      rounded[place] = from_float<X>(w[i]);
  });
}

template <class X>
cudaError_t look_for_not_finite(cudaStream_t stream, const void* numbers, int64_t n, double* state) {
  const X* in = static_cast<const X*>(numbers);
  return launch_each(stream, n, [=] __device__(int64_t i) {
    if (!is_finite(to_float(in[i]))) state[loss_scale_not_finite] = 1;
  });
}

constexpr int tile = 32, tile_rows = 8;

// Through a tile in shared memory, so that both sides are read and written along rows; its rows are one
// longer, or all threads of a warp would meet in one bank.
template <class X>
__global__ void transpose_tiles(const X* x, int64_t rows, int64_t columns, X* y, bool accumulate) {
  __shared__ float values[tile][tile + 1];
  const int64_t column_tiles = (columns + tile - 1) / tile;
  const int64_t row0 = blockIdx.x / column_tiles * tile, column0 = blockIdx.x % column_tiles * tile;
  for (int i = int(threadIdx.y); i < tile; i += tile_rows) {
    const int64_t r = row0 + i, c = column0 + threadIdx.x;
    if (r < rows && c < columns) values[i][threadIdx.x] = to_float(x[r * columns + c]);
  }
  __syncthreads();
  for (int i = int(threadIdx.y); i < tile; i += tile_rows) {
    const int64_t c = column0 + i, r = row0 + threadIdx.x;
    if (r < rows && c < columns) put(y + c * rows + r, values[threadIdx.x][i], accumulate);
  }
}

}  // namespace

cudaError_t fill_kernel(cudaStream_t stream, DType type, void* to, double value, int64_t n) {
  if (type == DType::f64) return fill_of<double>(stream, to, value, n);
  if (type == DType::i32) return fill_of<int32_t>(stream, to, int32_t(value), n);
  return with_element(type, [&]<class X>() { return fill_of_float<X>(stream, to, float(value), n); });
}

cudaError_t set_scalar_kernel(cudaStream_t stream, double* to, double value) {
  return launch_each(stream, 1, [=] __device__(int64_t) { *to = value; });
}

cudaError_t cast_kernel(cudaStream_t stream, DType from_type, const void* from, DType to_type, void* to,
                        int64_t n, bool accumulate) {
  return with_element(from_type, [&]<class X>() {
    return with_element(to_type, [&]<class Y>() { return cast_of<X, Y>(stream, from, to, n, accumulate); });
  });
}

cudaError_t unary_kernel(cudaStream_t stream, DType type, const UnaryOp& op, const void* x, void* y,
                         int64_t n, bool accumulate) {
  return with_element(type, [&]<class X>() { return unary_of<X>(stream, op, x, y, n, accumulate); });
}

cudaError_t unary_gradient_kernel(cudaStream_t stream, DType type, const UnaryOp& op, const void* x,
                                  const void* y, const void* dy, void* dx, int64_t n, bool accumulate) {
  return with_element(
      type, [&]<class X>() { return unary_gradient_of<X>(stream, op, x, y, dy, dx, n, accumulate); });
}

cudaError_t binary_kernel(cudaStream_t stream, DType type, Binary op, const BroadcastOperand& a,
                          const BroadcastOperand& b, void* y, int64_t rows, int64_t columns,
                          bool accumulate) {
  return with_element(
      type, [&]<class X>() { return binary_of<X>(stream, op, a, b, y, rows, columns, accumulate); });
}

cudaError_t scale_kernel(cudaStream_t stream, DType type, const void* x, const double* scalar, double factor,
                         void* y, int64_t n, bool accumulate) {
  return with_element(type,
                      [&]<class X>() { return scale_of<X>(stream, x, scalar, factor, y, n, accumulate); });
}

cudaError_t copy_columns_kernel(cudaStream_t stream, DType type, const void* from, int64_t from_columns,
                                void* to, int64_t to_columns, int64_t rows, int64_t count, bool accumulate) {
  return with_element(type, [&]<class X>() {
    return copy_columns_of<X>(stream, from, from_columns, to, to_columns, rows, count, accumulate);
  });
}

cudaError_t transpose_kernel(cudaStream_t stream, DType type, const void* x, int64_t rows, int64_t columns,
                             void* y, bool accumulate) {
  return with_element(type, [&]<class X>() {
    const int64_t tiles = ((rows + tile - 1) / tile) * ((columns + tile - 1) / tile);
    if (tiles == 0) return cudaSuccess;
    transpose_tiles<<<unsigned(tiles), dim3(tile, tile_rows), 0, stream>>>(
        static_cast<const X*>(x), rows, columns, static_cast<X*>(y), accumulate);
    return cudaGetLastError();
  });
}

cudaError_t spread_bias_kernel(cudaStream_t stream, const float* bias, float* c, int64_t rows,
                               int64_t columns, bool accumulate) {
  return launch_each(stream, rows * columns,
                     [=] __device__(int64_t i) { put(c + i, bias[divide(i, columns).rest], accumulate); });
}

cudaError_t sgd_kernel(cudaStream_t stream, float* w, const float* g, float* v, const double* lr,
                       float momentum, float weight_decay, const double* loss_scale, int64_t n) {
  return launch_each(stream, n, [=] __device__(int64_t i) {
    scaled_step(w[i], g[i], v[i], lr, momentum, weight_decay, loss_scale);
  });
}

cudaError_t mixed_sgd_kernel(cudaStream_t stream, const MixedWeights& weights, const double* lr,
                             float momentum, float weight_decay, const double* loss_scale) {
  return with_element(weights.rounded.type, [&]<class X>() {
    return mixed_sgd_of<X>(stream, weights, lr, momentum, weight_decay, loss_scale);
  });
}

// Threads that find something all write the same number.
cudaError_t update_loss_scale_kernel(cudaStream_t stream, const float* g, int64_t n, DType rounded_type,
                                     const void* rounded, int64_t rounded_n, double* state) {
  cudaError_t status = look_for_not_finite<float>(stream, g, n, state);
  if (status == cudaSuccess && rounded)
    status = with_element(
        rounded_type, [&]<class X>() { return look_for_not_finite<X>(stream, rounded, rounded_n, state); });
  if (status != cudaSuccess) return status;
  return launch_each(stream, 1, [=] __device__(int64_t) { update_loss_scale(state); });
}

}  // namespace retort
