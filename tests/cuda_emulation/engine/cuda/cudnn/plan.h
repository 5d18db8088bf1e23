// Stands for engine/cuda/cudnn_plan.h: a plan is the problem, which cudnn.cpp computes.
#pragma once
#include <optional>
#include <string>
#include <vector>

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
  explicit CudnnPlan(const CudnnProblem& p) : problem(p) {}
  static constexpr int64_t alignment = 16;
  int64_t workspace() const { return 1000; }
  std::string serialised() const { return ""; }

  CudnnProblem problem;
};

std::vector<CudnnPlan> make_cudnn_plans(const CudnnProblem& problem, const CudnnOptions& options,
                                        const CudnnTarget& target, size_t most);

inline std::optional<CudnnPlan> read_cudnn_plan(const std::string&, const CudnnTarget&) {
  return std::nullopt;
}

}  // namespace retort
