// Plans tried: which of several can be captured, and which is fastest.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/arena.h"
#include "engine/cuda/cudnn/plan.h"

namespace retort {

struct PlanTrial {
  std::optional<size_t> best;       // none where no plan can be run and captured
  std::vector<float> milliseconds;  // of one run in a captured chain of ten; infinity: not tried, or it failed
  std::vector<std::string> refusals;  // why a plan failed; empty: it did not
  bool complete = true;               // false: with more memory another may have been best
};

// Runs the plans in memory of its own that is given back: what the caller's tensors hold does not change.
// timed: all of them, the fastest is best; else the first that can be captured is, since an engine may wait
// or allocate. Waits for the device. Convolutions only. Where memory is short, the plans that need most of it
// are left out; where none of the others is good, the one of these that needs least is best untried.
PlanTrial try_cudnn_plans(const CudnnProblem& problem, const std::vector<CudnnPlan>& plans, bool timed,
                          cudnnHandle_t handle, cudaStream_t stream, Memory& memory);

}  // namespace retort
