// Plans run: once, and several against each other.
#pragma once
#include <cuda_runtime_api.h>

#include <vector>

#include "engine/cuda/cudnn/plan.h"

namespace retort {

// Enqueues the plan on the handle's stream. pointers[i] is the tensor with the id ids[i]; workspace holds at
// least plan.workspace() bytes. problem: for messages. Throws Error(Fault::internal).
void execute_cudnn_plan(const CudnnPlan& plan, cudnnHandle_t handle, const std::vector<int64_t>& ids,
                        const std::vector<void*>& pointers, void* workspace, const CudnnProblem& problem);

// The place of the plan that takes the least time in a captured chain of runs, in memory of its own that is
// given back: what the caller's tensors hold does not change. Waits for the device. Convolutions only.
size_t fastest_cudnn_plan(const CudnnProblem& problem, const std::vector<CudnnPlan>& plans,
                          cudnnHandle_t handle, cudaStream_t stream, Memory& memory);

}  // namespace retort
