// Stands for engine/cuda/cudnn/plan.h: a plan is the problem, which cudnn.cpp computes.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "engine/cuda/cudnn/graphs.h"
#include "engine/cuda/cudnn/library.h"
#include "engine/cuda/cudnn/recipe.h"

namespace retort {

bool cudnn_computes(DType type);

class CudnnTarget {
 public:
  explicit CudnnTarget(cudnnHandle_t) {}
};

class CudnnPlan {
 public:
  // waits: an engine that waits for the device, which no capture allows.
  explicit CudnnPlan(const CudnnProblem& p, bool waits_for_device = false) : problem(p), waits(waits_for_device) {}
  static constexpr int64_t alignment = 16;
  int64_t workspace() const { return waits ? 1000 : 500; }
  std::string engine() const { return waits ? "engine that waits" : "engine"; }
  bool tensor_cores() const { return true; }
  std::string serialised() const { return text(waits, problem); }

  CudnnProblem problem;
  bool waits;
};

std::vector<CudnnPlan> make_cudnn_plans(const CudnnProblem& problem, const CudnnOptions& options,
                                        const CudnnTarget& target, size_t most);

// What was serialised before in this process.
std::optional<CudnnPlan> read_cudnn_plan(const std::string& serialised, const CudnnTarget& target);

}  // namespace retort
