// A convolution with a frozen batch norm behind it, as detectors have them in their backbones: what ImageNet
// taught the norm stays, and too few images fit into a detector's batch to learn it anew.
#pragma once
#include "engine/ops/region_ops.h"
#include "layers/layers.h"

namespace retort {

// y = x scale + shift per channel, scale = weight / sqrt(running_var + eps), shift = bias - running_mean
// scale. All four are buffers: nothing of it learns.
class FrozenNorm : public Module {
 public:
  FrozenNorm(Device& device, int64_t channels, DType type = DType::f32);
  void visit(Visitor& visitor) override;
  Var scale(const Pass& pass) const;
  Var shift(const Pass& pass, const Var& scale) const;

  Array weight, bias, running_mean, running_var;
};

// relu?(norm(conv(x)) + add): parameter weight, buffers norm.*. add may be an empty Var.
class FrozenConv : public Module {
 public:
  FrozenConv(Device& device, int64_t in, int64_t out, const ConvOptions& options, DType type = DType::f32);
  void visit(Visitor& visitor) override;
  Var operator()(const Var& x, const Pass& pass, bool relu, const Var& add = {});

  Conv2d conv;
  FrozenNorm norm;
};

}  // namespace retort
