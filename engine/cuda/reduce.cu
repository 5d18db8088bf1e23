// Sums. Where a sum is too long for one block it is cut into parts of a constant length; the parts are added
// in order.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort {

namespace {

constexpr int64_t part = 16384;     // elements of one block's part of a long sum
constexpr int64_t rows_part = 512;  // rows of one block's part of column sums

int64_t parts_of(int64_t n, int64_t length) {
  return (n + length - 1) / length;
}

template <class X>
struct Wide {
  static __device__ __forceinline__ double of(X x) { return double(to_float(x)); }
};
template <>
struct Wide<double> {
  static __device__ __forceinline__ double of(double x) { return x; }
};

template <class Y>
__device__ __forceinline__ void put_wide(Y* to, double value, bool accumulate) {
  put(to, float(value), accumulate);
}
template <>
__device__ __forceinline__ void put_wide<double>(double* to, double value, bool accumulate) {
  *to = accumulate ? *to + value : value;
}

// Block b sums x[b length, (b + 1) length) and puts it, times scale, at to + b.
template <class X, class Y>
__global__ void __launch_bounds__(threads_per_block)
    sum_parts(const X* x, int64_t n, int64_t length, double scale, Y* to, bool accumulate) {
  const int64_t first = blockIdx.x * length, last = min(first + length, n);
  double total = 0;
  for (int64_t i = first + threadIdx.x; i < last; i += threads_per_block) total += Wide<X>::of(x[i]);
  total = block_sum(total);
  if (threadIdx.x == 0) put_wide(to + blockIdx.x, scale * total, accumulate);
}

template <class X, class Y>
cudaError_t sum_all_of(cudaStream_t stream, const void* x, double scale, void* to, int64_t n, bool accumulate,
                       void* scratch) {
  const X* in = static_cast<const X*>(x);
  Y* out = static_cast<Y*>(to);
  const int64_t parts = parts_of(n, part);
  if (parts <= 1) {
    sum_parts<<<1, threads_per_block, 0, stream>>>(in, n, n, scale, out, accumulate);
    return cudaGetLastError();
  }
  double* partial = static_cast<double*>(scratch);
  sum_parts<<<unsigned(parts), threads_per_block, 0, stream>>>(in, n, part, 1.0, partial, false);
  sum_parts<<<1, threads_per_block, 0, stream>>>(partial, parts, parts, scale, out, accumulate);
  return cudaGetLastError();
}

// A warp per row.
template <class X>
__global__ void __launch_bounds__(threads_per_block)
    sum_each_row(const X* x, int64_t rows, int64_t columns, double scale, X* to, bool accumulate) {
  const int64_t row = (int64_t(blockIdx.x) * threads_per_block + threadIdx.x) / 32;
  if (row >= rows) return;  // for all lanes of the warp alike
  double total = 0;
  for (int64_t c = threadIdx.x % 32; c < columns; c += 32) total += double(to_float(x[row * columns + c]));
  total = warp_sum(total);
  if (threadIdx.x % 32 == 0) put(to + row, float(scale * total), accumulate);
}

// Block (b, t) sums the rows of part b over columns [32 t, 32 t + 32): 32 columns by 8 rows of threads.
template <class X>
__global__ void __launch_bounds__(threads_per_block)
    sum_row_parts(const X* x, int64_t rows, int64_t columns, double scale, float* partial) {
  __shared__ double of_row[8][33];
  const int lane = int(threadIdx.x % 32), group = int(threadIdx.x / 32);
  const int64_t column = int64_t(blockIdx.y) * 32 + lane;
  const int64_t first = blockIdx.x * rows_part, last = min(first + rows_part, rows);
  double total = 0;
  if (column < columns)
    for (int64_t r = first + group; r < last; r += 8) total += double(to_float(x[r * columns + column]));
  of_row[group][lane] = total;
  __syncthreads();
  if (group == 0 && column < columns) {
    for (int i = 1; i < 8; ++i) total += of_row[i][lane];
    partial[blockIdx.x * columns + column] = float(scale * total);
  }
}

// to[c] = sum over the parts of partial[p, c], a warp per column.
template <class Y>
__global__ void __launch_bounds__(threads_per_block)
    add_parts(const float* partial, int64_t parts, int64_t columns, Y* to, bool accumulate) {
  const int64_t column = (int64_t(blockIdx.x) * threads_per_block + threadIdx.x) / 32;
  if (column >= columns) return;
  double total = 0;
  for (int64_t p = threadIdx.x % 32; p < parts; p += 32) total += double(partial[p * columns + column]);
  total = warp_sum(total);
  if (threadIdx.x % 32 == 0) put(to + column, float(total), accumulate);
}

unsigned blocks_of_warps(int64_t warps) {
  return unsigned((warps * 32 + threads_per_block - 1) / threads_per_block);
}

struct Factors {
  double of[Backend::most_totals];
};

// One block, a warp per row: metrics are few and small.
__global__ void __launch_bounds__(threads_per_block)
    rows_to_totals(const float* x, int64_t rows, int64_t columns, Factors factors, double* totals) {
  for (int64_t k = threadIdx.x / 32; k < rows; k += threads_per_block / 32) {
    double sum = 0;
    for (int64_t i = threadIdx.x % 32; i < columns; i += 32) sum += double(x[k * columns + i]);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) totals[k] += factors.of[k] * sum;
  }
}

}  // namespace

size_t sum_all_scratch(int64_t n) {
  return size_t(parts_of(n, part)) * sizeof(double);
}

cudaError_t sum_all_kernel(cudaStream_t stream, DType type, const void* x, double scale, void* to,
                           DType to_type, int64_t n, bool accumulate, void* scratch) {
  if (to_type == DType::f64) {
    if (type == DType::f64) return sum_all_of<double, double>(stream, x, scale, to, n, accumulate, scratch);
    if (type == DType::f32) return sum_all_of<float, double>(stream, x, scale, to, n, accumulate, scratch);
    return cudaErrorInvalidValue;
  }
  if (type != to_type && to_type != DType::f32) return cudaErrorInvalidValue;
  if (type != to_type) {
    return with_element(
        type, [&]<class X>() { return sum_all_of<X, float>(stream, x, scale, to, n, accumulate, scratch); });
  }
  return with_element(
      type, [&]<class X>() { return sum_all_of<X, X>(stream, x, scale, to, n, accumulate, scratch); });
}

cudaError_t rows_to_totals_kernel(cudaStream_t stream, const float* x, int64_t rows, int64_t columns,
                                  const double* factors, double* totals) {
  Factors f;
  for (int64_t k = 0; k < rows; ++k) f.of[k] = factors[k];
  if (rows > 0) rows_to_totals<<<1, threads_per_block, 0, stream>>>(x, rows, columns, f, totals);
  return cudaGetLastError();
}

cudaError_t sum_columns_kernel(cudaStream_t stream, DType type, const void* x, double scale, void* to,
                               int64_t rows, int64_t columns, bool accumulate) {
  if (rows == 0) return cudaSuccess;
  return with_element(type, [&]<class X>() {
    const X* in = static_cast<const X*>(x);
    if (columns > 4096)  // a block per row
      sum_parts<<<unsigned(rows), threads_per_block, 0, stream>>>(in, rows * columns, columns, scale,
                                                                  static_cast<X*>(to), accumulate);
    else
      sum_each_row<<<blocks_of_warps(rows), threads_per_block, 0, stream>>>(in, rows, columns, scale,
                                                                            static_cast<X*>(to), accumulate);
    return cudaGetLastError();
  });
}

size_t sum_rows_scratch(int64_t rows, int64_t columns) {
  return size_t(parts_of(rows, rows_part) * columns) * sizeof(float);
}

cudaError_t sum_rows_kernel(cudaStream_t stream, DType type, const void* x, double scale, void* to,
                            DType to_type, int64_t rows, int64_t columns, bool accumulate, void* scratch) {
  if (columns == 0) return cudaSuccess;
  const int64_t parts = parts_of(rows, rows_part);
  float* partial = static_cast<float*>(scratch);
  const cudaError_t status = with_element(type, [&]<class X>() {
    if (parts > 0)
      sum_row_parts<<<dim3(unsigned(parts), unsigned((columns + 31) / 32)), threads_per_block, 0, stream>>>(
          static_cast<const X*>(x), rows, columns, scale, partial);
    return cudaGetLastError();
  });
  if (status != cudaSuccess) return status;
  return with_element(to_type, [&]<class Y>() {
    add_parts<<<blocks_of_warps(columns), threads_per_block, 0, stream>>>(partial, parts, columns,
                                                                          static_cast<Y*>(to), accumulate);
    return cudaGetLastError();
  });
}

}  // namespace retort
