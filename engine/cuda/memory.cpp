// Memory, uploads and scalars.
#include <algorithm>

#include "engine/cuda/cuda_backend.h"

namespace retort {

namespace {
constexpr size_t staging_slot_bytes = size_t(1) << 20, least_staging_slots = 16, most_staging_slots = 256;
}

void Cuda::forbid_in_capture(const char* operation) const {
  check(!capturing_, "cuda: ", operation, " while a step is captured");
}

void* Cuda::allocate(size_t bytes) {
  forbid_in_capture("memory is allocated");
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is no error of what comes next
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    fail(Fault::memory, "out of memory: ", bytes, " bytes could not be had on the ", device_.name, ", where ",
         free, " of ", total, " are free; a smaller --batch or fewer runs at once need less");
  }
  check_cuda(status, "allocating ", bytes, " bytes");
  return data;
}

void Cuda::release(void* data, size_t) {
  // In a capture only where an error unwinds the step: waiting and freeing are not allowed before it ends.
  abandon_capture();
  // What is enqueued may still use it. An arena dies with its device after an error as well: nothing is
  // thrown.
  wait_quietly();
  cudaFree(data);
}

Cuda::Staging::Staging(const Cuda* owner, size_t slots)
    : bytes(slots * staging_slot_bytes), memory(bytes), ring(memory.data(), staging_slot_bytes, [&] {
        std::vector<UploadFence> fences;
        for (size_t i = 0; i < slots; ++i) fences.emplace_back(owner);
        return fences;
      }()) {}

void Cuda::upload(const Tensor& to, const void* host) {
  forbid_in_capture("host memory is uploaded");
  // Room for all of it: what does not fit, as a batch of photos, would wait until the steps before it are
  // done.
  const size_t slots = std::clamp((to.bytes() + staging_slot_bytes - 1) / staging_slot_bytes,
                                  least_staging_slots, most_staging_slots);
  if (!staging_ || slots * staging_slot_bytes > staging_->bytes) {
    synchronise();  // what is there may still be read
    staging_ = std::make_unique<Staging>(this, slots);
  }
  char* data = static_cast<char*>(to.data);
  staging_->ring.upload(host, to.bytes(), stream(), [&](size_t offset, const char* slot, size_t bytes) {
    check_cuda(cudaMemcpyAsync(data + offset, slot, bytes, cudaMemcpyHostToDevice, stream()), "upload to ",
               to.shape, " ", to.type);
  });
}

void Cuda::download(void* host, const Tensor& from) {
  forbid_in_capture("device memory is read");
  check_cuda(cudaMemcpyAsync(host, from.data, from.bytes(), cudaMemcpyDeviceToHost, stream()), "download of ",
             from.shape, " ", from.type);
  synchronise();
}

void Cuda::synchronise() {
  forbid_in_capture("the device is waited for");
  wait_for_processes([this] { return cudaStreamQuery(stream()); });
  check_cuda(cudaStreamSynchronize(stream()), "waiting for the device");
}

void Cuda::run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) {
  if (!host_threads_) host_threads_ = std::make_unique<ThreadPool>();
  host_threads_->run(tasks, [&](int64_t i, int) { task(i); });
}

// The value travels as the kernel's argument, which the launch copies: there is no host memory that a later
// call could overwrite while this one is in flight.
void Cuda::set_scalar(const Tensor& scalar, double value) {
  forbid_in_capture("a scalar is set");
  check_cuda(set_scalar_kernel(stream(), scalar.as<double>(), value), "set_scalar");
}

void Cuda::fill(const Tensor& to, double value) {
  check_cuda(fill_kernel(stream(), to.type, to.data, value, to.size()), "fill of ", to.shape, " ", to.type);
}

void Cuda::copy(const Tensor& from, const Sink& to) {
  check(from.type == to.to.type && from.size() == to.to.size(), "copy: ", from.shape, " ", from.type, " to ",
        to.to.shape, " ", to.to.type);
  // A copy node costs more than a kernel: it goes through a copy engine, and what is small is not worth the way there.
  constexpr size_t small = size_t(1) << 20;
  const cudaError_t status =
      to.accumulates() || (from.bytes() < small && (from.type == DType::f32 || size_of(from.type) == 2))
          ? cast_kernel(stream(), from.type, from.data, to.to.type, to.to.data, from.size(), to.accumulates())
          : cudaMemcpyAsync(to.to.data, from.data, from.bytes(), cudaMemcpyDeviceToDevice, stream());
  check_cuda(status, "copy of ", from.shape, " ", from.type);
}

}  // namespace retort
