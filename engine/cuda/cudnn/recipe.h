// How a problem may be given to cuDNN: as it is, or in a form that more engines know, with our own kernels
// before and behind. Pure arithmetic on shapes, tested without a device.
#pragma once
#include <vector>

#include "engine/cuda/block.h"
#include "engine/cuda/cudnn/problem.h"

namespace retort {

// What a tensor of a graph is. The value is its unique id in cuDNN's graphs.
enum class CudnnSlot : int64_t {
  x = 1,
  w,
  y,
  bias,
  add,
  dx,
  dw,
  dy,
  gamma,
  beta,
  epsilon,   // by value: a float on the host
  momentum,  // the same
  running_mean,
  running_var,
  next_running_mean,
  next_running_var,
  mean,
  inverse_std,
  dgamma,
  dbeta,
};

struct CudnnRecipe {
  CudnnProblem problem;   // what cuDNN computes
  bool epilogue = false;  // bias, residual and ReLU are done by our kernel, in place on y
};

// Best first. Where the problem of a recipe differs from the request in channels, type or accumulation,
// tensors go through scratch by copy_block.
std::vector<CudnnRecipe> recipes_for(const CudnnProblem& request);

// The tensors of a convolution's graph that have memory: what a variant pack names, each once.
std::vector<CudnnSlot> slots_of(const CudnnProblem& convolution);

// The elements of a tensor of a problem as a block, whose third and fourth extents are those that padding
// changes for images, the second and the fourth for weights; and their type.
Block block_of(const CudnnProblem& problem, CudnnSlot slot);
DType type_of(const CudnnProblem& problem, CudnnSlot slot);

}  // namespace retort
