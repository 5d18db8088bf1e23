// What cuDNN is asked to plan, as plain data: no cuDNN, no device, so all of it is tested on any machine.
#pragma once
#include <string>

#include "engine/backend.h"

namespace retort {

enum class CudnnOp {
  conv,
  conv_input_gradient,
  conv_weight_gradient,
  batch_norm_train,
  batch_norm_gradient,
};

bool is_convolution(CudnnOp op);

// Everything that a plan depends on but the device and the options. Equal problems share a plan.
struct CudnnProblem {
  CudnnOp op = CudnnOp::conv;
  DType type = DType::f32;                                  // of images and weights
  DType result = DType::f32;                                // of what is computed
  int64_t images = 0, height = 0, width = 0, channels = 0;  // x, all groups; batch norm: x is y
  int64_t out_height = 0, out_width = 0, outputs = 0;       // y, all groups
  int64_t kernel_height = 0, kernel_width = 0;              // convolutions only, as are the next three
  int stride = 1, pad = 0, groups = 1;
  bool bias = false, add = false, relu = false;  // what follows the convolution or the batch norm
  bool accumulate = false;                       // the gradient is added to what is there

  auto operator<=>(const CudnnProblem&) const = default;
};

// One line, exact: the key of plans, also in messages.
// "conv f32 x[64,32,32,16] k[3,3] s1 p1 g1 y[64,32,32,32] bias add relu"
std::ostream& operator<<(std::ostream& out, const CudnnProblem& problem);

// The shapes of a convolution; throws Error(Fault::internal) if they do not belong together. w_shape is
// K,R,S,C/groups.
CudnnProblem conv_problem(CudnnOp op, const Shape& x, const Shape& w, const Shape& y, const Conv2dSpec& spec,
                          DType type, DType result);
CudnnProblem batch_norm_problem(CudnnOp op, const Shape& x, DType type);

// Engines of the tensor cores read 16 bytes at once, so a group's channels must be a multiple of that many
// elements. Returns the problem with channels and outputs of every group rounded up, or the problem itself
// if nothing is to be padded: batch norms, and convolutions with one channel a group (depthwise), which have
// engines of their own.
CudnnProblem padded(const CudnnProblem& problem);

// The same convolution without what follows it.
CudnnProblem plain(const CudnnProblem& problem);

}  // namespace retort
