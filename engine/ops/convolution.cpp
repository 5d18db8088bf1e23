#include "engine/ops/ops.h"

namespace retort {

namespace {

Shape conv_shape(const char* op, const Tensor& x, const Tensor& w, const Conv2dSpec& spec) {
  check(x.shape.rank() == 4 && w.shape.rank() == 4, op, ": x has shape ", x.shape, " and w ", w.shape,
        ", expected N,H,W,C and K,R,S,C/groups");
  check(spec.stride >= 1 && spec.pad >= 0 && spec.groups >= 1, op, ": stride ", spec.stride, ", pad ",
        spec.pad, ", groups ", spec.groups, " are out of range");
  check(x.type == w.type, op, ": x is ", x.type, ", w is ", w.type);
  check(w.shape[3] * spec.groups == x.shape[3] && w.shape[0] % spec.groups == 0, op, ": x ", x.shape,
        " with w ", w.shape, " in ", spec.groups, " groups");
  const int64_t height = (x.shape[1] + 2 * spec.pad - w.shape[1]) / spec.stride + 1;
  const int64_t width = (x.shape[2] + 2 * spec.pad - w.shape[2]) / spec.stride + 1;
  check(x.shape[1] + 2 * spec.pad >= w.shape[1] && x.shape[2] + 2 * spec.pad >= w.shape[2], op, ": x ",
        x.shape, " is smaller than the kernel ", w.shape);
  return {x.shape[0], height, width, w.shape[0]};
}

}  // namespace

Var conv2d(const Pass& pass, const Var& x, const Var& w, const Var& bias, const Conv2dSpec& spec,
           const Var& add) {
  Var y = pass.make(conv_shape("conv2d", x, w, spec), x.type());
  check(!bias || bias.tensor().size() == w.shape()[0], "conv2d: bias ", bias.shape(), " for w ", w.shape());
  check(!add || add.shape() == y.shape(), "conv2d: add ", add.shape(), " to ", y.shape());
  pass.backend().conv2d(x, w, spec, {bias, add, false}, y);
  pass.record("conv2d", y, {x, w, bias, add}, [x, w, spec](const Tensor& dy, Grads& g) {
    if (g.wants(1)) g.backend().conv2d_weight_gradient(x, dy, spec, g.sink(1));
    if (g.wants(2)) g.backend().reduce_sum(dy, 1.0, g.sink(2));
    if (g.wants(0)) g.backend().conv2d_input_gradient(dy, w, spec, g.sink(0));
    if (g.wants(3)) g.backend().copy(dy, g.sink(3));
  });
  return y;
}

Var conv2d_transposed(const Pass& pass, const Var& x, const Var& w, const Var& bias, const Conv2dSpec& spec) {
  const Shape &from = x.shape(), &kernel = w.shape();
  check(from.rank() == 4 && kernel.rank() == 4 && kernel[0] == from[3] && x.type() == w.type(),
        "conv2d_transposed: x ", from, " ", x.type(), " with w ", kernel, " ", w.type(),
        ", expected N,H,W,K and K,R,S,C/groups");
  const Shape to{from[0], (from[1] - 1) * spec.stride - 2 * spec.pad + kernel[1],
                 (from[2] - 1) * spec.stride - 2 * spec.pad + kernel[2], kernel[3] * spec.groups};
  Var y = pass.make(to, x.type());
  // Also checks that the convolution exists and undoes the change of shape.
  check(conv_shape("conv2d_transposed", y, w, spec) == from, "conv2d_transposed: x ", from, " with w ",
        kernel);
  pass.backend().conv2d_input_gradient(x, w, spec, y);
  pass.record("conv2d_transposed", y, {x, w}, [x, w, spec](const Tensor& dy, Grads& g) {
    if (g.wants(1)) g.backend().conv2d_weight_gradient(dy, x, spec, g.sink(1));
    if (!g.wants(0)) return;
    const Sink dx = g.sink(0);
    if (!dx.accumulates()) return g.backend().conv2d(dy, w, spec, {}, dx.to);
    g.backend().conv2d(dy, w, spec, {{}, dx.to, false}, dx.to);
  });
  return bias ? add(pass, y, bias) : y;
}

Var conv2d_fused(const Pass& pass, const Var& x, const Var& w, const Var& bias, const Var& add, bool relu,
                 const Conv2dSpec& spec) {
  check(!pass.tape, "conv2d_fused: has no gradient; use conv2d and batch_norm under a tape");
  Var y = pass.make(conv_shape("conv2d_fused", x, w, spec), x.type());
  check(!add || add.shape() == y.shape(), "conv2d_fused: add ", add.shape(), " to ", y.shape());
  pass.backend().conv2d(x, w, spec, {bias, add, relu}, y);
  return y;
}

}  // namespace retort
