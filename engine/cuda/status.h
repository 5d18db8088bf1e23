// Statuses of the CUDA runtime as errors of the project.
#pragma once
#include <cuda_runtime_api.h>

#include "engine/base/check.h"

namespace retort {

// Out of memory is Fault::memory (exit code 6), a device that is gone or busy Fault::device (7), anything
// else a bug.
inline Fault fault_of(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return Fault::memory;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorDevicesUnavailable:
    case cudaErrorInitializationError:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorECCUncorrectable:
    case cudaErrorDeviceUninitialized:
      return Fault::device;
    default:
      return Fault::internal;
  }
}

inline const char* advice_for(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "; a smaller --batch or fewer runs at once need less";
    case cudaErrorNoKernelImageForDevice:
      return "; the program has no code for this device, build it with CMAKE_CUDA_ARCHITECTURES set to it";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
      return "; a kernel before it failed, compute-sanitizer names it";
    default:
      return "";
  }
}

// operation: what was being done, with shapes. Throws unless status is success.
template <class... Parts>
void check_cuda(cudaError_t status, const Parts&... operation) {
  if (status == cudaSuccess) [[likely]]
    return;
  fail(fault_of(status), "cuda: ", text(operation...), ": ", cudaGetErrorString(status), advice_for(status));
}

// Libraries say that they do not start, not that there was no room for them.
inline void check_memory_for(const char* library, bool started) {
  constexpr size_t needed = size_t(256) << 20;
  size_t free = 0, total = 0;
  if (started || cudaMemGetInfo(&free, &total) != cudaSuccess || free >= needed) return;
  fail(Fault::memory, "out of memory: ", library, " cannot start where ", free, " of ", total,
       " bytes of the device are free; fewer runs at once need less");
}

}  // namespace retort
