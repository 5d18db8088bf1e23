// Stands for engine/cuda/cudnn_tuning.h.
#pragma once
#include <vector>

#include "engine/cuda/cudnn/plan.h"

namespace retort {

void execute_cudnn_plan(const CudnnPlan& plan, cudnnHandle_t handle, const std::vector<int64_t>& ids,
                        const std::vector<void*>& pointers, void* workspace, const CudnnProblem& problem);

inline size_t fastest_cudnn_plan(const CudnnProblem&, const std::vector<CudnnPlan>&, cudnnHandle_t,
                                 cudaStream_t, Memory&) {
  return 0;
}

}  // namespace retort
