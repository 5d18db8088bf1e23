#include "engine/cuda/cudnn/problem.h"

#include "engine/base/check.h"

namespace retort {
namespace {

const char* name_of(CudnnOp op) {
  switch (op) {
    case CudnnOp::conv:
      return "conv";
    case CudnnOp::conv_input_gradient:
      return "conv_input_gradient";
    case CudnnOp::conv_weight_gradient:
      return "conv_weight_gradient";
    case CudnnOp::batch_norm_train:
      return "batch_norm_train";
    case CudnnOp::batch_norm_gradient:
      return "batch_norm_gradient";
  }
  return "?";
}

int64_t round_up(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

bool is_convolution(CudnnOp op) {
  return op <= CudnnOp::conv_weight_gradient;
}

std::ostream& operator<<(std::ostream& out, const CudnnProblem& p) {
  out << name_of(p.op) << ' ' << p.type;
  if (p.result != p.type) out << " to " << p.result;
  out << " x[" << p.images << ',' << p.height << ',' << p.width << ',' << p.channels << ']';
  if (is_convolution(p.op)) {
    out << " k[" << p.kernel_height << ',' << p.kernel_width << "] s" << p.stride << " p" << p.pad << " g"
        << p.groups << " y[" << p.images << ',' << p.out_height << ',' << p.out_width << ',' << p.outputs
        << ']';
  }
  if (p.bias) out << " bias";
  if (p.add) out << " add";
  if (p.relu) out << " relu";
  if (p.accumulate) out << " accumulate";
  return out;
}

CudnnProblem conv_problem(CudnnOp op, const Shape& x, const Shape& w, const Shape& y, const Conv2dSpec& spec,
                          DType type, DType result) {
  CudnnProblem p{.op = op, .type = type, .result = result};
  const auto extent = [&](int64_t in, int64_t kernel) {
    return (in + 2 * spec.pad - kernel) / spec.stride + 1;
  };
  const bool fit = x.rank() == 4 && w.rank() == 4 && y.rank() == 4 && spec.stride > 0 && spec.groups > 0 &&
                   x[0] == y[0] && x[3] == w[3] * spec.groups && y[3] == w[0] && w[0] % spec.groups == 0 &&
                   y[1] == extent(x[1], w[1]) && y[2] == extent(x[2], w[2]);
  check(fit, "convolution: x ", x, ", w ", w, ", y ", y, " do not belong together under stride ", spec.stride,
        ", padding ", spec.pad, ", ", spec.groups, " groups");
  p.images = x[0];
  p.height = x[1];
  p.width = x[2];
  p.channels = x[3];
  p.out_height = y[1];
  p.out_width = y[2];
  p.outputs = y[3];
  p.kernel_height = w[1];
  p.kernel_width = w[2];
  p.stride = spec.stride;
  p.pad = spec.pad;
  p.groups = spec.groups;
  return p;
}

CudnnProblem batch_norm_problem(CudnnOp op, const Shape& x, DType type) {
  CudnnProblem p{.op = op, .type = type, .result = type};
  const bool image = x.rank() == 4;
  p.images = image ? x[0] : x.rows();
  p.height = p.out_height = image ? x[1] : 1;
  p.width = p.out_width = image ? x[2] : 1;
  p.channels = p.outputs = x.last();
  return p;
}

CudnnProblem padded(const CudnnProblem& problem) {
  CudnnProblem p = problem;
  if (!is_convolution(p.op) || (p.groups > 1 && p.channels == p.groups)) return p;
  const int64_t step = 16 / int64_t(size_of(p.type));
  p.channels = round_up(p.channels / p.groups, step) * p.groups;
  p.outputs = round_up(p.outputs / p.groups, step) * p.groups;
  return p;
}

CudnnProblem plain(const CudnnProblem& problem) {
  CudnnProblem p = problem;
  p.bias = p.add = p.relu = false;
  return p;
}

}  // namespace retort
