// A plan enqueued.
#pragma once
#include <cudnn_graph.h>

#include <cstdint>
#include <vector>

#include "engine/cuda/cudnn/plan.h"

namespace retort {

// Enqueues the plan on the handle's stream. pointers[i] is the tensor with the id ids[i]; workspace holds at
// least plan.workspace() bytes. problem: for messages. Throws Error(Fault::internal).
void execute_cudnn_plan(const CudnnPlan& plan, cudnnHandle_t handle, const std::vector<int64_t>& ids,
                        const std::vector<void*>& pointers, void* workspace, const CudnnProblem& problem);

}  // namespace retort
