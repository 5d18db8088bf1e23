#include "models/detection/frozen_conv.h"

namespace retort {

FrozenNorm::FrozenNorm(Device& device, int64_t channels, DType type)
    : weight(device.persistent({channels}, type, 1)),
      bias(device.persistent({channels}, type, 0)),
      running_mean(device.persistent({channels}, type, 0)),
      running_var(device.persistent({channels}, type, 1)) {}

void FrozenNorm::visit(Visitor& visitor) {
  visitor.buffer("weight", weight, Init::ones());
  visitor.buffer("bias", bias, Init::zeros());
  visitor.buffer("running_mean", running_mean, Init::zeros());
  visitor.buffer("running_var", running_var, Init::ones());
}

Var FrozenNorm::scale(const Pass& pass) const {
  const Var inverse = pass.make(weight.tensor.shape, weight.tensor.type);
  pass.backend().inverse_std(running_var, BatchNorm::eps, inverse);
  return mul(pass, Var(weight), inverse);
}

Var FrozenNorm::shift(const Pass& pass, const Var& scale) const {
  return sub(pass, Var(bias), mul(pass, Var(running_mean), scale));
}

FrozenConv::FrozenConv(Device& device, int64_t in, int64_t out, const ConvOptions& options, DType type)
    : conv(device, in, out, options, type), norm(device, out, type) {}

void FrozenConv::visit(Visitor& visitor) {
  visitor.child("", conv);
  visitor.child("norm", norm);
}

Var FrozenConv::operator()(const Var& x, const Pass& pass, bool relu, const Var& add) {
  const Var scale = norm.scale(pass), shift = norm.shift(pass, scale);
  Var y = frozen_conv2d(pass, x, pass.parameter(conv.weight), scale, shift, conv.spec(), relu, add);
  conv.observe(pass, y.shape());
  return y;
}

}  // namespace retort
