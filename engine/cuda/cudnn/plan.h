// Plans: how cuDNN computes a problem on a device.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cuda/cudnn/operations.h"
#include "engine/cuda/cudnn/options.h"

namespace retort {

// What plans are made for: a device with a handle, or the description of one, in which case nothing runs but
// plans can be made and looked at on a machine without a GPU.
class CudnnTarget {
 public:
  explicit CudnnTarget(cudnnHandle_t handle) : handle_(handle) {}
  // json: the properties of a device as cuDNN writes them. Throws CudnnRefusal if cuDNN does not take them.
  static CudnnTarget described(const std::string& json);

  cudnnHandle_t handle() const { return handle_; }
  const CudnnDescriptor* properties() const { return properties_ ? &*properties_ : nullptr; }

 private:
  CudnnTarget() = default;
  cudnnHandle_t handle_ = nullptr;
  std::optional<CudnnDescriptor> properties_;
};

class CudnnPlan {
 public:
  // configuration: what the plan was made of, which is kept with it; none for a plan that was read.
  explicit CudnnPlan(CudnnDescriptor plan, std::optional<CudnnDescriptor> configuration = std::nullopt,
                     std::string engine = {}, bool tensor_cores = false, bool compiled = false);

  // Bytes that the addresses of all tensors must be a multiple of.
  static constexpr int64_t alignment = 16;

  int64_t workspace() const { return workspace_; }
  // "engine 38, knobs 4=1 7=2"; empty for a plan that was read.
  const std::string& engine() const { return engine_; }
  // By the engine's own word; false for a plan that was read.
  bool tensor_cores() const { return tensor_cores_; }
  bool compiled_at_run_time() const { return compiled_; }
  cudnnBackendDescriptor_t raw() const { return plan_.raw(); }
  // For the folder of plans; empty if the engine has no such form.
  std::string serialised() const;

 private:
  std::optional<CudnnDescriptor> configuration_;
  CudnnDescriptor plan_;
  int64_t workspace_;
  std::string engine_;
  bool tensor_cores_, compiled_;
};

// The best `most` plans that can be built, without engines that the options forbid or that are compiled at run time
// though others are not; empty where there is none. The order is that of cuDNN's heuristics (mode A, then fallback), but
// engines of the tensor cores that need little workspace come first: for small channel counts the heuristics begin with
// the CUDA cores or with conversions of the layout, which take megabytes. Throws Error(Fault::internal) where cuDNN fails
// otherwise than by having no engine.
std::vector<CudnnPlan> make_cudnn_plans(const CudnnProblem& problem, const CudnnOptions& options,
                                        const CudnnTarget& target, size_t most);

// Workspace that counts as little for the problem: the size of its result, or what stays in the cache anyway.
int64_t little_workspace(const CudnnProblem& problem);

// A plan from what serialised() wrote, or none if this cuDNN or device does not take it.
std::optional<CudnnPlan> read_cudnn_plan(const std::string& serialised, const CudnnTarget& target);

// True if the options forbid an engine with these notes for operands of the type.
bool forbidden(const std::vector<cudnnBackendNumericalNote_t>& notes, DType type,
               const CudnnOptions& options);

}  // namespace retort
