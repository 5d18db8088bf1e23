// What the emulated device and its libraries share of the emulated runtime.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>

namespace retort::emulation {

// Runs the work, or records it where the stream is captured.
void enqueue_work(cudaStream_t stream, std::function<void()> work);
// What cudaGetLastError() gives next.
void set_last_error(cudaError_t error);

}  // namespace retort::emulation
