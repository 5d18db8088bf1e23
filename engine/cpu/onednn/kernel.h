// What runs oneDNN's primitives: one thread of its own for each of ours, and operands that move.
#pragma once
#include <dlfcn.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <utility>
#include <vector>

namespace retort {

static_assert(DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP ||
                  DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_SEQ,
              "oneDNN has to be built for OpenMP or without threads, so that it can be held to one thread");

// The OpenMP library that oneDNN runs on, looked up at run time: linking one would bring in a second where
// oneDNN uses another (libgomp, libomp, libiomp5), and a weak symbol may be bound to null by the linker.
struct OpenMp {
  int (*max_threads)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  void (*set_threads)(int) = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
};

// Holds OpenMP to one thread in what the calling thread does while this lives; the setting is a thread's own.
class OneThread {
 public:
  explicit OneThread(const OpenMp& openmp) : openmp_(openmp) {
    if (!openmp_.set_threads) return;
    before_ = openmp_.max_threads();
    openmp_.set_threads(1);
  }
  ~OneThread() {
    if (openmp_.set_threads) openmp_.set_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const OpenMp& openmp_;
  int before_ = 1;
};

// A primitive and, for each thread, memory objects to point at its operands. Executing a primitive changes
// nothing in it, so that threads share it.
class OneDnnKernel {
 public:
  using Operands = std::vector<std::pair<int, dnnl::memory::desc>>;  // DNNL_ARG_..., desc

  OneDnnKernel() = default;
  OneDnnKernel(const dnnl::primitive& primitive, const Operands& operands, const dnnl::engine& engine,
               int threads)
      : primitive_(primitive) {
    for (int t = 0; t < threads; ++t) {
      std::vector<dnnl::memory>& memories = memories_.emplace_back();
      std::vector<dnnl_exec_arg_t>& arguments = arguments_.emplace_back();
      for (const auto& [argument, desc] : operands) {
        memories.emplace_back(desc, engine, nullptr);
        arguments.push_back({argument, memories.back().get()});
      }
    }
  }

  // Points every thread at an operand that all share. Before the threads run: oneDNN 2 clears the padding of
  // blocked weights when it is told their address.
  dnnl_status_t share(size_t operand, const void* data) {
    for (const auto& memories : memories_) {
      const dnnl_status_t status = point(memories[operand], data);
      if (status != dnnl_success) return status;
    }
    return dnnl_success;
  }

  // data: the addresses of the operands, in their order.
  dnnl_status_t run(int thread, const dnnl::stream& stream, std::span<const void* const> data) {
    for (size_t i = 0; i < data.size(); ++i) {
      const dnnl_status_t status = point(memories_[size_t(thread)][i], data[i]);
      if (status != dnnl_success) return status;
    }
    const auto& arguments = arguments_[size_t(thread)];
    return dnnl_primitive_execute(primitive_.get(), stream.get(), int(arguments.size()), arguments.data());
  }

 private:
  static dnnl_status_t point(const dnnl::memory& object, const void* data) {
    void* before = nullptr;
    const dnnl_status_t status = dnnl_memory_get_data_handle(object.get(), &before);
    if (status != dnnl_success || before == data) return status;
    return dnnl_memory_set_data_handle(object.get(), const_cast<void*>(data));
  }

  dnnl::primitive primitive_;
  std::vector<std::vector<dnnl::memory>> memories_;  // thread, operand
  std::vector<std::vector<dnnl_exec_arg_t>> arguments_;
};

}  // namespace retort
