// A device on the host: device code compiled as C++ runs here thread by thread, in an order that may be
// chosen, so that what only a GPU would execute (indices, reductions, scratch, barriers) is tested without
// one. A thread runs until it waits at a barrier; memory is ordered by nothing else, so a missing barrier
// shows in some order of the threads. Shared and allocated memory begins as NaN. It proves nothing about
// speed, nor about vendors' libraries.
//
// RETORT_EMULATED_ORDER: forward (the default), backward or mixed.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <typeinfo>

namespace retort::emulation {

struct Coordinates {
  unsigned x, y, z;
};
struct Thread {
  Coordinates index;
  int lane, warp;
};

// Of the thread that runs.
const Thread& thread();
const Coordinates &block_index(), &block_extents(), &grid_extents();
char* dynamic_shared();

void wait_for_block();
void wait_for_warp();
void wait_for_grid();
// For the end of the kernel ahead, in one that was launched to begin before it.
void wait_for_previous();
// Leaves a value for the other lanes of the warp and takes that of one of them.
uint64_t exchange(uint64_t value, int other_lane);

struct Configuration {
  dim3 grid, block;
  size_t shared = 0;
  cudaStream_t stream = nullptr;
  bool cooperative = false;   // its blocks may wait for each other
  bool programmatic = false;  // it may begin before the kernel ahead of it in the stream has ended
};

// Blocks of so many threads that a multiprocessor has room for at once, with 128 registers each: as many as
// the own kernels may have (tests/engine/cuda/ptxas_test.py).
inline int resident_blocks(size_t threads) {
  return int(65536 / (128 * threads));
}

// Runs the kernel, or records it where the stream is captured; what a GPU refuses is an error of the launch.
cudaError_t enqueue(const Configuration& configuration, std::string name, std::function<void()> kernel);

// For people: a kernel's name and, where it takes a functor or a row kernel, whose.
std::string name_of(const char* kernel, const std::type_info& arguments);

template <class Kernel, class... Arguments>
void launch(const char* name, const Configuration& configuration, Kernel kernel, Arguments... arguments) {
  enqueue(configuration, name_of(name, typeid(std::tuple<Arguments...>)), [=] { kernel(arguments...); });
}

}  // namespace retort::emulation

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* launch, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  retort::emulation::Configuration configuration{launch->gridDim, launch->blockDim, launch->dynamicSmemBytes,
                                                 launch->stream};
  for (unsigned i = 0; i < launch->numAttrs; ++i) {
    const cudaLaunchAttribute& given = launch->attrs[i];
    if (given.id == cudaLaunchAttributeCooperative) configuration.cooperative = given.val.cooperative != 0;
    if (given.id == cudaLaunchAttributeProgrammaticStreamSerialization)
      configuration.programmatic = given.val.programmaticStreamSerializationAllowed != 0;
  }
  return retort::emulation::enqueue(configuration,
                                    retort::emulation::name_of("kernel", typeid(std::tuple<Parameters...>)),
                                    [=] { kernel(arguments...); });
}

// What nvcc knows of itself.
#undef __global__
#undef __device__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#define __global__
#define __device__
#define __shared__ static thread_local  // one block runs at a time in a thread of the host
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (retort::emulation::thread().index)
#define blockIdx (retort::emulation::block_index())
#define blockDim (retort::emulation::block_extents())
#define gridDim (retort::emulation::grid_extents())
using std::max;
using std::min;

inline void __syncthreads() {
  retort::emulation::wait_for_block();
}
inline void __syncwarp() {
  retort::emulation::wait_for_warp();
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int step) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = retort::emulation::exchange(bits, retort::emulation::thread().lane ^ step);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
// Blocks run one after another in a thread of the host, so what is atomic on the device is plain here.
inline unsigned atomicInc(unsigned* at, unsigned last) {
  const unsigned old = *at;
  *at = old >= last ? 0 : old + 1;
  return old;
}
inline void __threadfence() {}
// The next kernel begins before this one at once: the earliest that the rules allow, and more.
inline void cudaTriggerProgrammaticLaunchCompletion() {}
inline void cudaGridDependencySynchronize() {
  retort::emulation::wait_for_previous();
}
template <class T>
T __ldcg(const T* from) {
  return *from;
}
template <class Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel, int threads, size_t) {
  *blocks = retort::emulation::resident_blocks(size_t(threads));
  return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel) {
  *attributes = {};
  attributes->ptxVersion = 90;
  return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int) {
  return cudaSuccess;
}
