// Owners of what the CUDA runtime hands out. Destructors cannot report: their statuses are dropped.
#pragma once
#include <atomic>
#include <utility>

#include "engine/arena.h"
#include "engine/cuda/status.h"

namespace retort {

class CudaStream {
 public:
  // Does not wait for the legacy default stream, so that several streams run at once.
  CudaStream() {
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  }
  ~CudaStream() { cudaStreamDestroy(stream_); }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// A point in a stream that the host or another stream can wait for. Recording again moves it.
class CudaFence {
 public:
  CudaFence() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "creating an event"); }
  CudaFence(CudaFence&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  CudaFence& operator=(CudaFence&&) = delete;
  ~CudaFence() {
    if (event_) cudaEventDestroy(event_);
  }
  void record(cudaStream_t stream) { check_cuda(cudaEventRecord(event_, stream), "recording an event"); }
  // What is enqueued on the stream from now on waits for the point.
  void hold_back(cudaStream_t stream) {
    check_cuda(cudaStreamWaitEvent(stream, event_, 0), "making a stream wait");
  }
  cudaError_t query() const { return cudaEventQuery(event_); }
  void wait() { check_cuda(cudaEventSynchronize(event_), "waiting for an upload"); }

 private:
  cudaEvent_t event_ = nullptr;
};

// Host memory that the device copies from without a detour.
class PinnedMemory {
 public:
  explicit PinnedMemory(size_t bytes) {
    check_cuda(cudaHostAlloc(&data_, bytes, cudaHostAllocDefault), "pinning ", bytes,
               " bytes of host memory");
  }
  ~PinnedMemory() { cudaFreeHost(data_); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  char* data() const { return static_cast<char*>(data_); }

 private:
  void* data_ = nullptr;
};

// Memory of the device, given back when it goes; its owner has waited for what uses it.
class DeviceMemory {
 public:
  DeviceMemory(Memory& memory, size_t bytes)
      : memory_(&memory), data_(memory.allocate(bytes)), bytes_(bytes) {}
  DeviceMemory(DeviceMemory&& other) noexcept
      : memory_(other.memory_), data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  DeviceMemory& operator=(DeviceMemory&&) = delete;
  ~DeviceMemory() {
    if (data_) memory_->release(data_, bytes_);
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Memory* memory_;
  void* data_;
  size_t bytes_;
};

// The right to launch kernels whose blocks wait for each other. One backend of a process has it at a time: of
// two such grids on a device each might hold the room that the other waits for.
class CooperativeTurn {
 public:
  explicit CooperativeTurn(bool wanted) : had_(wanted && !taken().exchange(true)) {}
  ~CooperativeTurn() {
    if (had_) taken() = false;
  }
  CooperativeTurn(const CooperativeTurn&) = delete;
  CooperativeTurn& operator=(const CooperativeTurn&) = delete;
  bool had() const { return had_; }

 private:
  static std::atomic<bool>& taken() {
    static std::atomic<bool> value{false};
    return value;
  }
  bool had_;
};

// A captured step, ready to be launched.
class CudaGraph {
 public:
  explicit CudaGraph(cudaGraph_t captured) {
    const cudaError_t status = cudaGraphInstantiate(&graph_, captured, 0);
    cudaGraphDestroy(captured);
    check_cuda(status, "instantiating a captured step");
  }
  CudaGraph(CudaGraph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  CudaGraph& operator=(CudaGraph&&) = delete;
  ~CudaGraph() {
    if (graph_) cudaGraphExecDestroy(graph_);
  }
  cudaGraphExec_t get() const { return graph_; }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace retort
