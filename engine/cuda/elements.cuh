// What every .cu file of the backend shares: elements of 32 and 16 bits read and written as f32, groups of
// them moved at once, launches over an index, sums over a block in a fixed order.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "engine/shape.h"

namespace retort {

using Half = __half;
using BFloat = __nv_bfloat16;

__device__ __forceinline__ float to_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(Half x) {
  return __half2float(x);
}
__device__ __forceinline__ float to_float(BFloat x) {
  return __bfloat162float(x);
}

template <class X>
__device__ __forceinline__ X from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ Half from_float<Half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ BFloat from_float<BFloat>(float x) {
  return __float2bfloat16_rn(x);
}

// Writes or adds; the sum of 16-bit elements is taken in f32.
template <class X>
__device__ __forceinline__ void put(X* to, float value, bool accumulate) {
  *to = from_float<X>(accumulate ? to_float(*to) + value : value);
}

// n neighbours, loaded and stored by one instruction.
template <class X, int n>
struct alignas(sizeof(X) * n) Pack {
  X at[n];
};

template <class X, int n>
__device__ __forceinline__ void unpack(const Pack<X, n>& pack, float (&to)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = to_float(pack.at[i]);
}

template <class X, int n>
__device__ __forceinline__ void load_pack(const X* from, float (&to)[n]) {
  const Pack<X, n> pack = *reinterpret_cast<const Pack<X, n>*>(from);
  unpack(pack, to);
}

template <class X, int n>
__device__ __forceinline__ void store_pack(X* to, const float (&from)[n]) {
  Pack<X, n> pack;
#pragma unroll
  for (int i = 0; i < n; ++i) pack.at[i] = from_float<X>(from[i]);
  *reinterpret_cast<Pack<X, n>*>(to) = pack;
}

// Whether packs of `bytes` bytes may be read at all the addresses (null: not used).
template <class... Pointers>
bool aligned_to(size_t bytes, const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % bytes == 0) && ...);
}

// Calls f.operator()<X>() with the element type; f64 and integers are no types of these kernels.
template <class F>
cudaError_t with_element(DType type, F f) {
  switch (type) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f16:
      return f.template operator()<Half>();
    case DType::bf16:
      return f.template operator()<BFloat>();
    default:
      return cudaErrorInvalidValue;
  }
}

constexpr int threads_per_block = 256;

template <class F>
__global__ void __launch_bounds__(threads_per_block) each_index(int64_t n, F f) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}

// Enqueues f(i) for i in [0, n).
template <class F>
cudaError_t launch_each(cudaStream_t stream, int64_t n, F f) {
  if (n == 0) return cudaSuccess;
  const int64_t blocks = (n + threads_per_block - 1) / threads_per_block;
  each_index<<<unsigned(blocks < 8192 ? blocks : 8192), threads_per_block, 0, stream>>>(n, f);
  return cudaGetLastError();
}

// i / d and i % d; in 32 bits where they suffice, since division in 64 is slow.
struct Quotient {
  int64_t quotient, rest;
};
__device__ __forceinline__ Quotient divide(int64_t i, int64_t d) {
  if ((i | d) >> 32 == 0) {
    const uint32_t q = uint32_t(i) / uint32_t(d);
    return {int64_t(q), int64_t(uint32_t(i) - q * uint32_t(d))};
  }
  return {i / d, i % d};
}

// The sum over the lanes of a warp, in every lane the same bits.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int step = 16; step > 0; step >>= 1) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

// The sum over a block of threads_per_block threads, in thread 0. All threads of the block must call it.
template <class T>
__device__ T block_sum(T value) {
  __shared__ T of_warp[threads_per_block / 32];
  value = warp_sum(value);
  __syncthreads();  // of_warp may still be read from a call before
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x < 32) {
    value = threadIdx.x < threads_per_block / 32 ? of_warp[threadIdx.x] : T(0);
    value = warp_sum(value);
  }
  return value;
}

}  // namespace retort
