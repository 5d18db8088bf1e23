// The functions of the CUDA runtime that the backend calls. Work runs when it is enqueued; a captured stream
// records it, and refuses what a capture forbids.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <vector>

#include "tests/cuda_emulation/stream.h"

using Work = std::vector<std::function<void()>>;

struct CUstream_st {
  bool capturing = false, invalid = false;
  Work captured;
};
struct CUgraph_st {
  Work nodes;
};
struct CUgraphExec_st {
  Work nodes;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point at;
};

namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaStream_t capturing_here = nullptr;  // in cudaStreamCaptureModeThreadLocal

cudaError_t noted(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

// Of a call that a capture of this thread does not allow.
cudaError_t forbidden_in_capture() {
  if (!capturing_here) return cudaSuccess;
  capturing_here->invalid = true;
  return noted(cudaErrorStreamCaptureUnsupported);
}

std::mutex memory_mutex;
std::set<void*> device_memory;

}  // namespace

namespace retort::emulation {

void enqueue_work(cudaStream_t stream, std::function<void()> work) {
  if (stream->capturing)
    stream->captured.push_back(std::move(work));
  else
    work();
}

void set_last_error(cudaError_t error) {
  noted(error);
}

}  // namespace retort::emulation

using retort::emulation::enqueue_work;

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInvalidConfiguration ? "invalid configuration argument (emulated)"
                                                : "emulated error";
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated device");
  properties->major = 9;
  properties->multiProcessorCount = 132;
  properties->sharedMemPerBlockOptin = 227 << 10;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  if (const cudaError_t status = forbidden_in_capture()) return status;
  const size_t rounded = (bytes + 256) / 256 * 256;
  *data = std::aligned_alloc(256, rounded);
  if (!*data) return noted(cudaErrorMemoryAllocation);
  constexpr size_t most = size_t(16) << 20;           // libraries' workspaces need no more time
  std::memset(*data, 0xff, std::min(rounded, most));  // NaN
  const std::lock_guard lock(memory_mutex);
  device_memory.insert(*data);
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  if (const cudaError_t status = forbidden_in_capture()) return status;
  const std::lock_guard lock(memory_mutex);
  if (data && device_memory.erase(data) == 0) return noted(cudaErrorInvalidValue);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t(1) << 34;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  if (const cudaError_t status = forbidden_in_capture()) return status;
  *data = std::malloc(bytes);
  return *data ? cudaSuccess : noted(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreate(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!stream->capturing) return cudaSuccess;
  stream->invalid = true;
  return noted(cudaErrorStreamCaptureUnsupported);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream->capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (capturing_here) return noted(cudaErrorIllegalState);
  *stream = {.capturing = true, .captured = {}};
  capturing_here = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (capturing_here != stream) return noted(cudaErrorIllegalState);
  capturing_here = nullptr;
  const bool valid = !stream->invalid;
  if (valid) *graph = new CUgraph_st{std::move(stream->captured)};
  *stream = {};
  return valid ? cudaSuccess : noted(cudaErrorStreamCaptureInvalidated);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (stream->capturing) return noted(cudaErrorStreamCaptureUnsupported);
  for (const auto& node : executable->nodes) node();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (stream->capturing && kind != cudaMemcpyDeviceToDevice) {
    stream->invalid = true;
    return noted(cudaErrorStreamCaptureUnsupported);
  }
  enqueue_work(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->capturing) return noted(cudaErrorStreamCaptureUnsupported);
  event->at = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaSuccess;
}

}  // extern "C"
