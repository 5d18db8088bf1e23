#include "engine/cuda/cudnn/graphs.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <mutex>

#include "engine/cuda/block_copy.h"
#include "engine/cuda/capture_turn.h"
#include "engine/cuda/cudnn/execute.h"
#include "engine/cuda/cudnn/plan.h"
#include "engine/cuda/cudnn/plan_files.h"
#include "engine/cuda/cudnn/tuning.h"
#include "engine/cuda/cudnn/workspace.h"
#include "engine/cuda/status.h"

namespace retort {
namespace {

class Handle {
 public:
  explicit Handle(cudaStream_t stream) : cudnn_(CudnnLibrary::get()) {
    const std::lock_guard turn(capture_turn());
    const cudnnStatus_t status = cudnn_.create(&handle_);
    check_memory_for("cuDNN", status == CUDNN_STATUS_SUCCESS);
    check(status == CUDNN_STATUS_SUCCESS, Fault::device, "cuDNN ", cudnn_.version(),
          " cannot use this device: ", cudnn_.explain(status), "; is the driver new enough for it?");
    const cudnnStatus_t stream_status = cudnn_.set_stream(handle_, stream);
    check(stream_status == CUDNN_STATUS_SUCCESS,
          "cuDNN: setting the stream: ", cudnn_.explain(stream_status));
  }
  ~Handle() {
    const std::lock_guard turn(capture_turn());
    cudnn_.destroy(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  cudnnHandle_t get() const { return handle_; }

 private:
  const CudnnLibrary& cudnn_;
  cudnnHandle_t handle_ = nullptr;
};

// Everything but the problem that decides on a plan.
std::string context_of(const CudnnOptions& options) {
  int device = 0;
  cudaDeviceProp properties;
  check_cuda(cudaGetDevice(&device), "asking for the device");
  check_cuda(cudaGetDeviceProperties(&properties, device), "asking for the properties of device ", device);
  return text("cuDNN ", CudnnLibrary::get().version(), ", ", properties.name, ", sm_", properties.major,
              properties.minor, ", ", properties.multiProcessorCount, " multiprocessors, ",
              options.math == CudnnMath::fp32 ? "fp32" : "tf32",
              options.deterministic ? ", deterministic" : "", options.tune ? ", tuned" : "");
}

// What a graph reads or writes.
struct Operand {
  CudnnSlot slot;
  void* data;  // null: zeros, of an input only
  DType type;
  bool output = false;
  bool accumulate = false;  // an output is added to what is there
  bool staged = false;      // an input that must be copied: an output has its place
};

size_t aligned(size_t bytes) {
  return (bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment;
}

}  // namespace

class CudnnGraphs::Impl {
 public:
  Impl(const CudnnOptions& options, Memory& memory, cudaStream_t stream)
      : options_(options),
        memory_(memory),
        stream_(stream),
        handle_(stream),
        target_(handle_.get()),
        files_(options.plans, options.plans.empty() ? std::string() : context_of(options)),
        files_of_run_(options.plans_of_run,
                      options.plans_of_run.empty() ? std::string() : context_of(options), CudnnPlansOf::run),
        workspace_(memory) {}

  // Computes the request if there is a plan for it. epsilon, momentum: on the host, for a batch norm in
  // training.
  bool run(const CudnnProblem& request, std::initializer_list<Operand> operands, float* epsilon = nullptr,
           float* momentum = nullptr);

  cudaStream_t stream() const { return stream_; }
  Counters counters() const {
    Counters now = counters_;
    now.workspace = workspace_.bytes();
    for (const auto& [request, entry] : entries_)
      if (entry.workspace) now.workspace += entry.workspace->bytes();
    return now;
  }

  void keep_plans(const std::string& folder) {
    files_of_run_ =
        CudnnPlanFiles(folder, folder.empty() ? std::string() : context_of(options_), CudnnPlansOf::run);
    for (const auto& [key, plan] : used_)
      if (!files_of_run_.read(key)) files_of_run_.write(key, plan);
  }

  // The recipe by which a request is computed; null if cuDNN has no engine for any.
  const CudnnRecipe* recipe(const CudnnProblem& request) {
    const Entry& entry = entry_for(request);
    return entry.plan ? &entry.recipe : nullptr;
  }

 private:
  struct Entry {
    CudnnRecipe recipe;
    std::optional<CudnnPlan> plan;
    std::unique_ptr<CudnnWorkspace> workspace;  // of its own, if options say so
  };

  Entry& entry_for(const CudnnProblem& request);
  std::optional<CudnnPlan> plan_for(const CudnnProblem& problem);
  std::optional<CudnnPlan> kept_plan(const std::string& key);
  std::optional<CudnnPlan> new_plan(const CudnnProblem& problem, const std::string& key);
  bool capturing() const;

  const CudnnOptions options_;
  Memory& memory_;
  const cudaStream_t stream_;
  const Handle handle_;
  const CudnnTarget target_;
  const CudnnPlanFiles files_;
  CudnnPlanFiles files_of_run_;
  std::map<std::string, std::string> used_;  // what plans serialise to, by their problems' texts
  CudnnWorkspace workspace_;
  std::map<CudnnProblem, Entry> entries_;  // by what is asked for
  Counters counters_;
};

bool CudnnGraphs::Impl::capturing() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(stream_, &status), "asking whether a step is captured");
  return status != cudaStreamCaptureStatusNone;
}

std::optional<CudnnPlan> CudnnGraphs::Impl::kept_plan(const std::string& key) {
  for (const CudnnPlanFiles* files : std::array<const CudnnPlanFiles*, 2>{&files_of_run_, &files_}) {
    const std::optional<std::string> kept = files->read(key);
    if (!kept) continue;
    std::optional<CudnnPlan> plan = read_cudnn_plan(*kept, target_);
    if (!plan) {
      files->refused(key);
      continue;
    }
    ++counters_.read;
    if (files == &files_) files_of_run_.write(key, *kept);
    used_[key] = *kept;
    return plan;
  }
  return std::nullopt;
}

std::optional<CudnnPlan> CudnnGraphs::Impl::new_plan(const CudnnProblem& problem, const std::string& key) {
  constexpr size_t measured = 8, tried = 4;
  const bool timed = options_.tune && is_convolution(problem.op);
  // Others are compiled as they are planned, and not tried.
  const size_t most = timed ? measured : is_convolution(problem.op) ? tried : 1;
  std::vector<CudnnPlan> plans = make_cudnn_plans(problem, options_, target_, most);
  if (plans.empty()) return std::nullopt;
  size_t best = 0;
  bool complete = true;
  if (is_convolution(problem.op)) {
    const PlanTrial trial = try_cudnn_plans(problem, plans, timed, handle_.get(), stream_, memory_);
    if (timed || !trial.best) {
      std::vector<std::string> lines;
      for (size_t i = 0; i < plans.size(); ++i) {
        std::string remark = trial.best == i ? "chosen" : trial.refusals[i];
        std::replace(remark.begin(), remark.end(), '"', '\'');
        lines.push_back(text(plans[i].engine(), ',', plans[i].tensor_cores() ? "tensor cores" : "CUDA cores",
                             ',', plans[i].workspace(), ',', 1e3f * trial.milliseconds[i], ",\"", remark,
                             '"'));
      }
      files_.write_times(key, lines);
    }
    if (!trial.best) return std::nullopt;
    best = *trial.best;
    complete = trial.complete;
  }
  // Another process may have met the problem meanwhile: all compute by the plan that was there first.
  if (std::optional<CudnnPlan> plan = kept_plan(key)) return plan;
  ++counters_.planned;
  if (const std::string plan = plans[best].serialised(); !plan.empty()) {
    if (complete) files_.write(key, plan);  // what a nearly full device chose is this run's alone
    files_of_run_.write(key, plan);
    used_[key] = plan;
  }
  return std::move(plans[best]);
}

std::optional<CudnnPlan> CudnnGraphs::Impl::plan_for(const CudnnProblem& problem) {
  const std::string key = text(problem);
  if (std::optional<CudnnPlan> plan = kept_plan(key)) return plan;
  // Several runs in one process would disturb each other's measurements and could choose differently: one plans at a
  // time, and who waited finds what the other wrote.
  static std::mutex planning;
  const std::lock_guard lock(planning);
  if (std::optional<CudnnPlan> plan = kept_plan(key)) return plan;
  return new_plan(problem, key);
}

CudnnGraphs::Impl::Entry& CudnnGraphs::Impl::entry_for(const CudnnProblem& request) {
  const auto found = entries_.find(request);
  if (found != entries_.end()) return found->second;
  check(!capturing(), "cuDNN: ", request,
        " is planned while a step is captured; run the step once before it is captured");
  Entry entry;
  for (const CudnnRecipe& recipe : recipes_for(request)) {
    entry.plan = plan_for(recipe.problem);
    if (!entry.plan) continue;
    entry.recipe = recipe;
    break;
  }
  if (!entry.plan) ++counters_.refused;
  if (options_.separate_workspaces) entry.workspace = std::make_unique<CudnnWorkspace>(memory_);
  return entries_.emplace(request, std::move(entry)).first->second;
}

bool CudnnGraphs::Impl::run(const CudnnProblem& request, std::initializer_list<Operand> operands,
                            float* epsilon, float* momentum) {
  Entry& entry = entry_for(request);
  if (!entry.plan) return false;
  const CudnnProblem& problem = entry.recipe.problem;

  // What cuDNN cannot read or write where it is gets a place in the workspace, behind cuDNN's own part.
  struct Place {
    const Operand* operand;
    size_t offset;
  };
  std::vector<Place> staged;
  std::vector<int64_t> ids;
  std::vector<void*> pointers;
  size_t bytes = aligned(size_t(entry.plan->workspace()));
  for (const Operand& operand : operands) {
    const bool direct = operand.data && !operand.staged && operand.type == type_of(problem, operand.slot) &&
                        block_of(request, operand.slot) == block_of(problem, operand.slot) &&
                        operand.accumulate == (operand.output && problem.accumulate) &&
                        reinterpret_cast<uintptr_t>(operand.data) % CudnnPlan::alignment == 0;
    ids.push_back(int64_t(operand.slot));
    pointers.push_back(direct ? operand.data : nullptr);
    if (direct) continue;
    staged.push_back({&operand, bytes});
    bytes +=
        aligned(size_t(block_of(problem, operand.slot).size()) * size_of(type_of(problem, operand.slot)));
  }
  CudnnWorkspace& memory = entry.workspace ? *entry.workspace : workspace_;
  check(bytes <= memory.largest() || !capturing(), "cuDNN: ", request, " needs ", bytes,
        " bytes of workspace while a step is captured, of which there are ", memory.largest(),
        "; run the step once before it is captured");
  char* workspace = static_cast<char*>(memory.reserve(bytes));
  for (size_t i = 0, next = 0; i < pointers.size(); ++i) {
    if (!pointers[i]) pointers[i] = workspace + staged[next++].offset;
  }
  if (epsilon) {
    ids.insert(ids.end(), {int64_t(CudnnSlot::epsilon), int64_t(CudnnSlot::momentum)});
    pointers.insert(pointers.end(), {epsilon, momentum});
  }

  const auto copy = [&](const Place& place, bool in) {
    const Operand& o = *place.operand;
    const Block outer = block_of(request, o.slot), inner = block_of(problem, o.slot);
    const DType inner_type = type_of(problem, o.slot);
    void* scratch = workspace + place.offset;
    const cudaError_t status =
        in ? copy_block(stream_, o.type, o.data, outer, inner_type, scratch, inner, false)
           : copy_block(stream_, inner_type, scratch, inner, o.type, o.data, outer, o.accumulate);
    check_cuda(status, "cuDNN: ", request, in ? ": copying an operand" : ": copying the result");
  };
  for (const Place& place : staged) {
    // Where cuDNN adds to what is there, the scratch must hold it.
    if (!place.operand->output || problem.accumulate) copy(place, true);
  }
  execute_cudnn_plan(*entry.plan, handle_.get(), ids, pointers, workspace, problem);
  for (const Place& place : staged) {
    if (!place.operand->output) continue;
    Operand overwritten = *place.operand;
    overwritten.accumulate = overwritten.accumulate && !problem.accumulate;
    copy({&overwritten, place.offset}, false);
  }
  return true;
}

CudnnGraphs::CudnnGraphs(const CudnnOptions& options, Memory& memory, CUstream_st* stream)
    : impl_(std::make_unique<Impl>(options, memory, stream)) {}
CudnnGraphs::~CudnnGraphs() = default;

std::string CudnnGraphs::description() const {
  return "cuDNN " + CudnnLibrary::get().version();
}
void CudnnGraphs::keep_plans(const std::string& folder) {
  impl_->keep_plans(folder);
}

CudnnGraphs::Counters CudnnGraphs::counters() const {
  return impl_->counters();
}

bool CudnnGraphs::conv_forward(const Tensor& x, const Tensor& w, const Conv2dSpec& spec,
                               const ConvEpilogue& epilogue, const Tensor& y) {
  if (!cudnn_computes(x.type) || y.size() == 0) return false;
  check(w.type == x.type && y.type == x.type, "conv2d: x ", x.type, ", w ", w.type, ", y ", y.type,
        ", expected one type");
  CudnnProblem request = conv_problem(CudnnOp::conv, x.shape, w.shape, y.shape, spec, x.type, y.type);
  request.bias = bool(epilogue.bias);
  request.add = bool(epilogue.add);
  request.relu = epilogue.relu;
  const CudnnRecipe* recipe = impl_->recipe(request);
  if (!recipe) return false;
  const Operand in{CudnnSlot::x, x.data, x.type}, weights{CudnnSlot::w, w.data, w.type},
      out{CudnnSlot::y, y.data, y.type, true},
      bias{CudnnSlot::bias, epilogue.bias.data, epilogue.bias ? epilogue.bias.type : x.type},
      add{CudnnSlot::add, epilogue.add.data, y.type, false, false, epilogue.add.data == y.data};
  if (!recipe->epilogue) {
    if (request.add) return impl_->run(request, {in, weights, out, bias, add});
    if (recipe->problem.bias) return impl_->run(request, {in, weights, out, bias});
    return impl_->run(request, {in, weights, out});
  }
  // The residual is read behind the convolution, so it cannot be where that writes.
  if (epilogue.add && epilogue.add.data == y.data) return false;
  impl_->run(request, {in, weights, out});
  check_cuda(conv_epilogue(impl_->stream(), y.type, y.data, y.shape.rows(), y.shape.last(), bias.type,
                           epilogue.bias.data, epilogue.add.data, epilogue.relu),
             "cuDNN: ", request, ": bias, residual and ReLU");
  return true;
}

bool CudnnGraphs::conv_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                                      const Sink& dx) {
  if (!dx || !cudnn_computes(dy.type) || !cudnn_computes(dx.to.type) || dy.size() == 0) return false;
  check(w.type == dy.type, "conv2d_input_gradient: dy ", dy.type, ", w ", w.type, ", expected one type");
  CudnnProblem request =
      conv_problem(CudnnOp::conv_input_gradient, dx.to.shape, w.shape, dy.shape, spec, dy.type, dx.to.type);
  request.accumulate = dx.accumulates();
  return impl_->run(request, {{CudnnSlot::dy, dy.data, dy.type},
                              {CudnnSlot::w, w.data, w.type},
                              {CudnnSlot::dx, dx.to.data, dx.to.type, true, dx.accumulates()}});
}

bool CudnnGraphs::conv_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                                       const Sink& dw) {
  if (!dw || !cudnn_computes(x.type) || !cudnn_computes(dw.to.type) || dy.size() == 0) return false;
  check(dy.type == x.type, "conv2d_weight_gradient: x ", x.type, ", dy ", dy.type, ", expected one type");
  CudnnProblem request =
      conv_problem(CudnnOp::conv_weight_gradient, x.shape, dw.to.shape, dy.shape, spec, x.type, dw.to.type);
  request.accumulate = dw.accumulates();
  return impl_->run(request, {{CudnnSlot::x, x.data, x.type},
                              {CudnnSlot::dy, dy.data, dy.type},
                              {CudnnSlot::dw, dw.to.data, dw.to.type, true, dw.accumulates()}});
}

bool CudnnGraphs::batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                   const Tensor& add, const BatchNormSpec& spec, const Tensor& running_mean,
                                   const Tensor& running_var, const Tensor& mean, const Tensor& inverse_std,
                                   const Tensor& y) {
  if (!cudnn_computes(x.type) || x.size() == 0 || (add && !spec.relu)) return false;
  CudnnProblem request = batch_norm_problem(CudnnOp::batch_norm_train, x.shape, x.type);
  request.add = bool(add);
  request.relu = spec.relu;
  float epsilon = float(spec.eps), momentum = float(spec.momentum);
  const auto statistic = [](CudnnSlot slot, const Tensor& t, bool output) {
    return Operand{slot, t.as<float>(), DType::f32, output};
  };
  const Operand in{CudnnSlot::x, x.data, x.type}, out{CudnnSlot::y, y.data, y.type, true},
      residual{CudnnSlot::add, add.data, x.type, false, false, add.data == y.data},
      scale = statistic(CudnnSlot::gamma, gamma, false), shift = statistic(CudnnSlot::beta, beta, false),
      m = statistic(CudnnSlot::mean, mean, true), s = statistic(CudnnSlot::inverse_std, inverse_std, true),
      m0 = statistic(CudnnSlot::running_mean, running_mean, false),
      v0 = statistic(CudnnSlot::running_var, running_var, false),
      // In place: what updates a channel has read it.
      m1 = statistic(CudnnSlot::next_running_mean, running_mean, true),
      v1 = statistic(CudnnSlot::next_running_var, running_var, true);
  if (add)
    return impl_->run(request, {in, scale, shift, m0, v0, m1, v1, m, s, residual, out}, &epsilon, &momentum);
  return impl_->run(request, {in, scale, shift, m0, v0, m1, v1, m, s, out}, &epsilon, &momentum);
}

bool CudnnGraphs::batch_norm_gradient(const Tensor& x, const Tensor&, const Tensor& dy, const Tensor& gamma,
                                      const BatchNormSpec& spec, const Tensor& mean,
                                      const Tensor& inverse_std, bool batch_statistics, const Sink& dx,
                                      const Sink& dgamma, const Sink& dbeta, const Sink& dadd) {
  const bool plain = batch_statistics && !spec.relu && dx && !dadd && !dx.accumulates() &&
                     !dgamma.accumulates() && !dbeta.accumulates();
  if (!plain || !cudnn_computes(x.type) || x.size() == 0) return false;
  const auto statistic = [](CudnnSlot slot, const Tensor& t, bool output) {
    return Operand{slot, t.as<float>(), DType::f32, output};
  };
  return impl_->run(batch_norm_problem(CudnnOp::batch_norm_gradient, x.shape, x.type),
                    {{CudnnSlot::x, x.data, x.type},
                     {CudnnSlot::dy, dy.data, dy.type},
                     statistic(CudnnSlot::gamma, gamma, false),
                     statistic(CudnnSlot::mean, mean, false),
                     statistic(CudnnSlot::inverse_std, inverse_std, false),
                     statistic(CudnnSlot::dgamma, dgamma.to, true),
                     statistic(CudnnSlot::dbeta, dbeta.to, true),
                     {CudnnSlot::dx, dx.to.data, dx.to.type, true}});
}

}  // namespace retort
