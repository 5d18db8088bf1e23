// A problem as a graph of cuDNN's operations.
#pragma once
#include <vector>

#include "engine/cuda/cudnn/descriptor.h"
#include "engine/cuda/cudnn/recipe.h"

namespace retort {

// An operation graph and the operations and tensors that it refers to.
struct CudnnOperations {
  std::vector<CudnnDescriptor> parts;
  CudnnDescriptor graph{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR};
};

// Throws CudnnRefusal where cuDNN does not take the graph. handle may be null: the graph is then planned
// for the device of a CudnnTarget. alignment: bytes that the addresses of all tensors are a multiple of.
CudnnOperations cudnn_operations(const CudnnProblem& problem, cudnnHandle_t handle, int64_t alignment);

// cuDNN's name of a type; the one place that maps them. Throws Error(Fault::internal) for a type that cuDNN's
// part here does not compute with.
cudnnDataType_t cudnn_type(DType type);
bool cudnn_computes(DType type);

}  // namespace retort
