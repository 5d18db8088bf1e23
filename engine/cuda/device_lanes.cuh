// The lanes of a row kernel on the device: a warp per row, scratch in shared memory. Included only by the .cu
// files that list row kernels; RETORT_ROW_KERNEL_ON_DEVICE defines a kernel's launch.
#pragma once
#include <cuda_runtime.h>

#include <type_traits>

#include "engine/cuda/bitonic.h"
#include "engine/cuda/row_launch.h"
#include "engine/kernels/lanes.h"
#include "engine/row_kernel.h"

namespace retort {

// See kernels/lanes.h for what each member promises. Sums are taken in an order that depends on n only; all
// lanes get the same bits, since a butterfly adds the same two numbers on both sides.
class DeviceLanes {
 public:
  __device__ explicit DeviceLanes(char* scratch) : scratch_(scratch), lane_(int(threadIdx.x % 32)) {}

  template <class F>
  __device__ __forceinline__ void each(int64_t n, F f) {
    for (int64_t i = lane_; i < n; i += 32) f(i);
  }
  template <class T, class F>
  __device__ __forceinline__ T sum(int64_t n, F f) {
    T total = 0;
    for (int64_t i = lane_; i < n; i += 32) total += f(i);
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) total += __shfl_xor_sync(all, total, step);
    return total;
  }
  template <class T, class F>
  __device__ __forceinline__ T max(int64_t n, F f) {
    T largest = -T(__builtin_huge_val());
    for (int64_t i = lane_; i < n; i += 32) {
      const T value = f(i);
      largest = value > largest ? value : largest;
    }
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) {
      const T other = __shfl_xor_sync(all, largest, step);
      largest = other > largest ? other : largest;
    }
    return largest;
  }
  // As on the host a NaN is chosen only where it is f(0): nothing is larger than it.
  template <class F>
  __device__ __forceinline__ int64_t first_max(int64_t n, F f) {
    int64_t best = 0;
    auto largest = f(0);
    for (int64_t i = lane_; i < n; i += 32) {
      const auto value = f(i);
      if (value > largest) {
        largest = value;
        best = i;
      }
    }
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) {
      const auto other = __shfl_xor_sync(all, largest, step);
      const int64_t at = __shfl_xor_sync(all, best, step);
      if (other > largest || (other == largest && at < best)) {
        largest = other;
        best = at;
      }
    }
    return best;
  }
  template <class T>
  __device__ __forceinline__ T* scratch(int64_t n) {
    T* data = reinterpret_cast<T*>(scratch_);
    scratch_ += lane_scratch_bytes(size_t(n) * sizeof(T));
    return data;
  }
  // The order of HostLanes: by OrderedKey, so that NaN comes first and the zeros are equal; equal keys by
  // index. The keys were made visible by sync() before.
  template <class T>
  __device__ __forceinline__ void rank_descending(int64_t n, const T* keys, int32_t* order) {
    static_assert(sizeof(T) == 4, "f64 rows run on the host only");
    // Falls as the key rises, then rises with the index: sorted upwards, it is the order wanted, without
    // ties.
    uint64_t* falling = reinterpret_cast<uint64_t*>(scratch_);  // fits rank_scratch_bytes<float>
    each(n, [=](int64_t i) {
      const uint32_t below = uint32_t(OrderedKey<T>::largest) - uint32_t(OrderedKey<T>::of(keys[i]));
      falling[i] = uint64_t(below) << 32 | uint32_t(i);
    });
    sync();
    if (n <= rank_by_counting_limit)
      count_ranks(n, falling, order);
    else
      sort_ranks(n, falling, order);
    sync();
  }
  __device__ __forceinline__ bool leader() const {
    return lane_ == 0;
  }
  __device__ __forceinline__ void sync() {
    __syncwarp();
  }

 private:
  static constexpr unsigned all = 0xffffffffu;

  // The rank of a number is how many are smaller. Each lane counts for four at a time.
  __device__ __forceinline__ void count_ranks(int64_t n, const uint64_t* falling, int32_t* order) {
    for (int64_t first = lane_; first < n; first += 128) {
      uint64_t own[4];
      int32_t rank[4] = {};
#pragma unroll
      for (int k = 0; k < 4; ++k) own[k] = first + 32 * k < n ? falling[first + 32 * k] : 0;
      for (int64_t j = 0; j < n; ++j) {
        const uint64_t other = falling[j];
#pragma unroll
        for (int k = 0; k < 4; ++k) rank[k] += other < own[k];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k)
        if (first + 32 * k < n) order[rank[k]] = int32_t(uint32_t(own[k]));
    }
  }

  __device__ __forceinline__ void sort_ranks(int64_t n, uint64_t* falling, int32_t* order) {
    for (int64_t size = 2; size / 2 < n; size *= 2) {
      for (int64_t step = size / 2; step > 0; step /= 2) {
        for (int64_t pair = lane_;; pair += 32) {
          const Comparison c = bitonic_comparison(pair, size, step);
          if (c.low >= n) break;
          if (c.high < n && falling[c.high] < falling[c.low]) {
            const uint64_t swap = falling[c.low];
            falling[c.low] = falling[c.high];
            falling[c.high] = swap;
          }
        }
        sync();
      }
    }
    each(n, [=](int64_t i) { order[i] = int32_t(uint32_t(falling[i])); });
  }

  char* scratch_;
  const int lane_;
};

template <class Kernel>
__global__ void rows_on_device(Kernel kernel, int64_t rows, int64_t scratch_bytes) {
  extern __shared__ __align__(64) char row_scratch[];
  const int warp = int(threadIdx.x / 32);
  const int64_t row = int64_t(blockIdx.x) * (blockDim.x / 32) + warp;
  if (row >= rows) return;  // for all lanes of the warp alike; no row waits for another
  DeviceLanes lanes(row_scratch + warp * scratch_bytes);
  kernel(lanes, row);
}

template <class Kernel>
int launch_rows_on_device(const void* kernel, int64_t rows, int64_t scratch_bytes, void* stream) {
  if (rows == 0) return cudaSuccess;
  const int64_t padded = int64_t(lane_scratch_bytes(size_t(scratch_bytes)));
  const RowLaunch launch = row_launch(rows, padded);
  if (launch.shared_bytes > shared_without_asking) {
    const cudaError_t status = cudaFuncSetAttribute(
        rows_on_device<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(launch.shared_bytes));
    if (status != cudaSuccess) return status;
  }
  rows_on_device<Kernel>
      <<<unsigned(launch.blocks), unsigned(32 * launch.warps), size_t(launch.shared_bytes),
         static_cast<cudaStream_t>(stream)>>>(*static_cast<const Kernel*>(kernel), rows, padded);
  return cudaGetLastError();
}

// Kernel<double>: not compiled for the device.
template <class Kernel>
constexpr bool rows_in_f64 = false;
template <template <class> class Kernel>
constexpr bool rows_in_f64<Kernel<double>> = true;

template <class Kernel>
RowKernel::DeviceLaunch device_launch_of() {
  if constexpr (rows_in_f64<Kernel>)
    return nullptr;
  else
    return launch_rows_on_device<Kernel>;
}

}  // namespace retort

#define RETORT_ROW_KERNEL_ON_DEVICE(...)                                      \
  template <>                                                                 \
  retort::RowKernel::DeviceLaunch retort::DeviceRows<__VA_ARGS__>::launch() { \
    return retort::device_launch_of<__VA_ARGS__>();                           \
  }
