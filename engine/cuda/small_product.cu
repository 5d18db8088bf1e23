// Products of small matrices in f32, in one kernel with what follows them: a classifier's linear layer is
// some 60 by 100 by 200 numbers, where a launch takes as long as the product.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort {

namespace {

constexpr int side = 16, depth = 32;  // a block makes side x side results, depth products of each at a time

// Sums are taken in the order of `inner`, whatever the shape of the launch.
__global__ void __launch_bounds__(side* side) small_product(SmallProduct p) {
  __shared__ float left[depth][side + 1], right[depth][side + 1];
  const int x = int(threadIdx.x), y = int(threadIdx.y), thread = y * side + x;
  const int64_t row0 = int64_t(blockIdx.y) * side, column0 = int64_t(blockIdx.x) * side;
  float sum = 0, of_row = 0;
  for (int64_t first = 0; first < p.inner; first += depth) {
    for (int i = thread; i < side * depth; i += side * side) {
      // Neighbouring threads read neighbouring numbers.
      const int along_a = p.transpose_a ? i % side : i / depth, in_a = p.transpose_a ? i / side : i % depth;
      const int64_t row = row0 + along_a, k = first + in_a;
      left[in_a][along_a] = row < p.rows && k < p.inner
                                ? (p.transpose_a ? p.a[k * p.rows + row] : p.a[row * p.inner + k])
                                : 0.0f;
      const int along_b = p.transpose_b ? i / depth : i % side, in_b = p.transpose_b ? i % depth : i / side;
      const int64_t column = column0 + along_b, l = first + in_b;
      right[in_b][along_b] = column < p.columns && l < p.inner
                                 ? (p.transpose_b ? p.b[column * p.inner + l] : p.b[l * p.columns + column])
                                 : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < depth; ++k) {
      sum += left[k][y] * right[k][x];
      of_row += left[k][y];
    }
    __syncthreads();
  }
  const int64_t row = row0 + y, column = column0 + x;
  if (row >= p.rows) return;
  if (column < p.columns)
    put(p.c + row * p.columns + column, p.bias ? sum + p.bias[column] : sum, p.accumulate);
  if (p.sums && column == 0) put(p.sums + row, of_row, p.sums_accumulate);
}

}  // namespace

bool is_small_product(int64_t rows, int64_t columns, int64_t inner) {
  return inner > 0 && rows * columns > 0 && rows * columns <= 64 << 10 && inner <= 1024;
}

cudaError_t small_product_kernel(cudaStream_t stream, const SmallProduct& product) {
  const dim3 blocks(unsigned((product.columns + side - 1) / side),
                    unsigned((product.rows + side - 1) / side));
  small_product<<<blocks, dim3(side, side), 0, stream>>>(product);
  return cudaGetLastError();
}

}  // namespace retort
