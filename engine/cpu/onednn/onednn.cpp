// OneDnn: Portable with oneDNN's convolutions and matrix products. Works with oneDNN 2 (Debian 12 has 2.6.3)
// and 3.
//
// oneDNN with several threads does not give the same bits for every number of them, so it never gets more
// than one: the batch is cut into shards, whose number depends on the problem only, and our threads run
// single-threaded primitives on them. Weight gradients of shards are summed in the order of the shards.
//
// Activations are N,H,W,C for oneDNN too. Weights are not: its fast kernels want them in blocks, so each call
// reorders K,R,S,C (a hundredth of the convolution's time at most; weights change at every step).
#include "engine/cpu/onednn/onednn.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/cpu/conv/channel_kernels.h"
#include "engine/cpu/elementwise_kernels.h"
#include "engine/cpu/onednn/plan.h"
#include "engine/cpu/portable.h"

namespace retort {

namespace {

class OneDnn : public Portable {
 public:
  OneDnn(int threads, ConvTuning* tuning, const OpenMp& openmp)
      : Portable(threads, tuning), openmp_(openmp), engine_(dnnl::engine::kind::cpu, 0) {
    for (int t = 0; t < pool_.threads(); ++t) streams_.emplace_back(engine_);
  }

  std::string name() const override { return "onednn"; }
  std::string description() const override {
    const dnnl_version_t& v = *dnnl_version();
    return text("oneDNN ", v.major, ".", v.minor, ".", v.patch, ", ", name_of(isa_), ", ", pool_.threads(),
                pool_.threads() == 1 ? " thread" : " threads");
  }

  ConvAlgorithm static_algorithm(const ConvProblem& problem) override;
  std::vector<ConvAlgorithm> algorithms(const ConvProblem& problem) override;

  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override;

 protected:
  void conv2d_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& w, const Conv2dSpec& spec,
                 const ConvEpilogue& epilogue, const Tensor& y) override;
  void conv2d_input_gradient_by(ConvAlgorithm algorithm, const Tensor& dy, const Tensor& w,
                                const Conv2dSpec& spec, const Sink& dx) override;
  void conv2d_weight_gradient_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& dy,
                                 const Conv2dSpec& spec, const Sink& dw) override;

 private:
  // oneDNN's plan for this convolution; not available where it has no fast one.
  OneDnnPlan& plan_for(ConvProblem problem);

  // Calls f(task, thread) for every task with OpenMP held to one thread; f returns oneDNN's status.
  template <class F>
  void run(const char* operation, int64_t tasks, const F& f) {
    std::atomic<dnnl_status_t> status{dnnl_success};
    pool_.run(tasks, [&](int64_t task, int thread) {
      const OneThread one_thread(openmp_);
      const dnnl_status_t s = f(task, thread);
      if (s != dnnl_success) status.store(s, std::memory_order_relaxed);
    });
    check(status == dnnl_success, operation, ": oneDNN failed with status ", int(status.load()));
  }
  dnnl_status_t run(OneDnnKernel& kernel, int thread, std::span<const void* const> operands) {
    return kernel.run(thread, streams_[size_t(thread)], operands);
  }
  // Grows every thread's scratch before the threads run: they cannot throw if there is not enough memory.
  void reserve_thread_scratch(size_t bytes) {
    for (int t = 0; t < pool_.threads(); ++t) thread_scratch(t, bytes);
  }
  // oneDNN writes a convolution's code into memory of its own, and goes on with an address of nothing where
  // the system gives none.
  static void require_room_for_code() {
    constexpr size_t bytes = size_t{32} << 20;
    void* room =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(room != MAP_FAILED, Fault::memory,
          "out of memory: oneDNN needs room for the code of a convolution, up to ", bytes >> 20, " MiB");
    ::munmap(room, bytes);
  }
  // The weights in the plan's layout, in shared scratch.
  const void* packed(const char* operation, OneDnnPlan& plan, const Tensor& w);

  const OpenMp openmp_;
  const dnnl::engine engine_;
  std::vector<dnnl::stream> streams_;  // one for each thread
  std::map<ConvProblem, OneDnnPlan> plans_;
};

// Portable's Winograd convolutions need 1.5 to 2.5 times less time than oneDNN's direct ones, which is all it
// has where channels are innermost (bench/RESULTS.md).
ConvAlgorithm OneDnn::static_algorithm(const ConvProblem& problem) {
  const ConvAlgorithm portable = Portable::static_algorithm(problem);
  if (portable == ConvAlgorithm::winograd || !plan_for(problem).available) return portable;
  return ConvAlgorithm::onednn;
}

std::vector<ConvAlgorithm> OneDnn::algorithms(const ConvProblem& problem) {
  std::vector<ConvAlgorithm> all = Portable::algorithms(problem);
  if (plan_for(problem).available) all.push_back(ConvAlgorithm::onednn);
  return all;
}

OneDnnPlan& OneDnn::plan_for(ConvProblem problem) {
  // oneDNN does not add to an input gradient: we do, afterwards.
  if (problem.pass == ConvPass::input_gradient) problem.accumulate = false;
  // Nor is its ReLU taken, which makes 0 of NaN.
  problem.relu = false;
  const auto found = plans_.find(problem);
  if (found != plans_.end()) return found->second;
  const OneThread one_thread(openmp_);  // a primitive is made for a number of threads
  require_room_for_code();
  try {
    return plans_.emplace(problem, make_onednn_plan(problem, engine_, pool_.threads())).first->second;
  } catch (const dnnl::error& error) {
    fail(error.status == dnnl_out_of_memory ? Fault::memory : Fault::internal,
         "oneDNN cannot plan a convolution of ", problem.channels, " to ", problem.outputs,
         " channels: ", error.what());
  }
}

const void* OneDnn::packed(const char* operation, OneDnnPlan& plan, const Tensor& w) {
  char* scratch = static_cast<char*>(shared_scratch(plan.weights_bytes + plan.reorder_scratchpad_bytes));
  const void* operands[] = {w.data, scratch, scratch + plan.weights_bytes};
  run(operation, 1, [&](int64_t, int thread) {
    for (OneDnnKernel& kernel : plan.kernels) {
      const dnnl_status_t status = kernel.share(1, scratch);
      if (status != dnnl_success) return status;
    }
    return run(plan.reorder, thread, operands);
  });
  return scratch;
}

void OneDnn::conv2d_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& w, const Conv2dSpec& spec,
                       const ConvEpilogue& epilogue, const Tensor& y) {
  if (algorithm != ConvAlgorithm::onednn) return Portable::conv2d_by(algorithm, x, w, spec, epilogue, y);
  ConvProblem problem = problem_of(ConvPass::forward, x.shape, w.shape, y.shape, spec);
  problem.bias = bool(epilogue.bias);
  problem.add = bool(epilogue.add);
  problem.relu = epilogue.relu;
  OneDnnPlan* const plan = &plan_for(problem);
  const int64_t x_size = x.size() / plan->images, y_size = y.size() / plan->images;  // of one image
  const float *in = x.as<float>(), *add = epilogue.add ? epilogue.add.as<float>() : nullptr;
  float* out = y.as<float>();
  const void* weights = packed("conv2d", *plan, w);
  reserve_thread_scratch(plan->scratchpad_bytes);
  run("conv2d", plan->shards, [&](int64_t shard, int thread) {
    const int64_t image = plan->first(shard);
    float* to = out + image * y_size;
    // oneDNN adds to what is in y.
    if (add && add != out)
      std::memcpy(to, add + image * y_size, size_t(plan->count(shard) * y_size) * sizeof(float));
    const void* operands[] = {in + image * x_size, weights, to,
                              thread_scratch(thread, plan->scratchpad_bytes), epilogue.bias.data};
    const dnnl_status_t status = run(plan->kernel(shard), thread, {operands, epilogue.bias ? 5u : 4u});
    if (epilogue.relu) channel_kernels<float>(isa_).relu(to, to, plan->count(shard) * y_size);
    return status;
  });
}

void OneDnn::conv2d_input_gradient_by(ConvAlgorithm algorithm, const Tensor& dy, const Tensor& w,
                                      const Conv2dSpec& spec, const Sink& dx) {
  if (algorithm != ConvAlgorithm::onednn)
    return Portable::conv2d_input_gradient_by(algorithm, dy, w, spec, dx);
  OneDnnPlan* const plan =
      &plan_for(problem_of(ConvPass::input_gradient, dx.to.shape, w.shape, dy.shape, spec));
  const int64_t x_size = dx.to.size() / plan->images, y_size = dy.size() / plan->images;
  const float* from = dy.as<float>();
  float* to = dx.to.as<float>();
  const void* weights = packed("conv2d_input_gradient", *plan, w);
  // oneDNN cannot accumulate here: a shard's gradient is made in the thread's scratch, behind the scratchpad.
  const size_t shard_bytes =
      dx.accumulates() ? size_t((plan->images / plan->shards + 1) * x_size) * sizeof(float) : 0;
  const size_t bytes = plan->scratchpad_bytes + shard_bytes;
  reserve_thread_scratch(bytes);
  run("conv2d_input_gradient", plan->shards, [&](int64_t shard, int thread) {
    const int64_t image = plan->first(shard);
    char* scratch = static_cast<char*>(thread_scratch(thread, bytes));
    float* sink = to + image * x_size;
    float* result = dx.accumulates() ? reinterpret_cast<float*>(scratch + plan->scratchpad_bytes) : sink;
    const void* operands[] = {result, weights, from + image * y_size, scratch};
    const dnnl_status_t status = run(plan->kernel(shard), thread, operands);
    if (dx.accumulates()) {
      elementwise_kernels<float>(isa_).scale(result, 1.f, sink, plan->count(shard) * x_size, true);
    }
    return status;
  });
}

void OneDnn::conv2d_weight_gradient_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& dy,
                                       const Conv2dSpec& spec, const Sink& dw) {
  if (algorithm != ConvAlgorithm::onednn)
    return Portable::conv2d_weight_gradient_by(algorithm, x, dy, spec, dw);
  ConvProblem problem = problem_of(ConvPass::weight_gradient, x.shape, dw.to.shape, dy.shape, spec);
  problem.accumulate = dw.accumulates();
  OneDnnPlan* const plan = &plan_for(problem);
  const int64_t x_size = x.size() / plan->images, y_size = dy.size() / plan->images;
  const float *in = x.as<float>(), *d = dy.as<float>();
  const size_t sums_bytes = size_t(plan->shards) * plan->weights_bytes;
  char* scratch = static_cast<char*>(shared_scratch(sums_bytes + plan->reorder_scratchpad_bytes));
  const auto sum_of = [&](int64_t shard) {
    return reinterpret_cast<float*>(scratch + size_t(shard) * plan->weights_bytes);
  };
  reserve_thread_scratch(plan->scratchpad_bytes);
  run("conv2d_weight_gradient", plan->shards, [&](int64_t shard, int thread) {
    const int64_t image = plan->first(shard);
    const void* operands[] = {in + image * x_size, sum_of(shard), d + image * y_size,
                              thread_scratch(thread, plan->scratchpad_bytes)};
    return run(plan->kernel(shard), thread, operands);
  });
  constexpr int64_t part = 2048;  // small enough to give all threads some of them
  if (plan->shards > 1)
    for_ranges(plan->weights_count, part, [&](int64_t first, int64_t last) {
      for (int64_t shard = 1; shard < plan->shards; ++shard) {
        elementwise_kernels<float>(isa_).scale(sum_of(shard) + first, 1.f, sum_of(0) + first, last - first,
                                               true);
      }
    });
  const void* operands[] = {scratch, dw.to.data, scratch + sums_bytes};
  run("conv2d_weight_gradient", 1, [&](int64_t, int thread) { return run(plan->reorder, thread, operands); });
}

// In parts of the longer side of c, sized by the problem only.
void OneDnn::matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
                    const Sink& c) {
  const int64_t rows = c.to.shape[0], columns = c.to.shape[1], inner = a.shape[transpose_a ? 0 : 1];
  if (a.type != DType::f32 || rows * columns * inner == 0) {
    return Portable::matmul(a, transpose_a, b, transpose_b, bias, c);
  }
  constexpr int64_t most = 8, least_work = 1 << 20, step = 16;
  const bool by_rows = rows >= columns;
  const int64_t length = by_rows ? rows : columns;
  const int64_t parts = std::clamp<int64_t>(rows * columns * inner / least_work, 1, most);
  const int64_t part = (length + parts * step - 1) / (parts * step) * step;
  const float *p = a.as<float>(), *q = b.as<float>(), *offset = bias ? bias.as<float>() : nullptr;
  float* to = c.to.as<float>();
  run("matmul", (length + part - 1) / part, [&](int64_t task, int) {
    const int64_t row = by_rows ? task * part : 0, column = by_rows ? 0 : task * part;
    const int64_t m = by_rows ? std::min(part, rows - row) : rows;
    const int64_t n = by_rows ? columns : std::min(part, columns - column);
    float* result = to + row * columns + column;
    if (offset) {
      for (int64_t r = 0; r < m; ++r) {
        elementwise_kernels<float>(isa_).scale(offset + column, 1.f, result + r * columns, n,
                                               c.accumulates());
      }
    }
    return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, inner, 1.f,
                      p + (transpose_a ? row : row * inner), transpose_a ? rows : inner,
                      q + (transpose_b ? column * inner : column), transpose_b ? inner : columns,
                      offset || c.accumulates() ? 1.f : 0.f, result, columns);
  });
}

}  // namespace

std::unique_ptr<Backend> make_onednn(int threads, ConvTuning* tuning) {
  const OpenMp openmp;
  if (DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP && !(openmp.max_threads && openmp.set_threads))
    return nullptr;
  // oneDNN follows our choice of instruction set; it takes the limit once, before it is first used.
  if (best_isa() == Isa::avx2) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
  if (best_isa() == Isa::baseline) dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
  return std::make_unique<OneDnn>(threads, tuning, openmp);
}

}  // namespace retort
