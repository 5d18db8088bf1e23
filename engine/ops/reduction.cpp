#include "engine/ops/ops.h"

namespace retort {

namespace {

Var reduce(const Pass& pass, const char* name, const Var& x, const Shape& to, double scale) {
  Var y = pass.make(to, x.type());
  pass.backend().reduce_sum(x, scale, y);
  pass.record(name, y, {x}, [shape = x.shape(), scale](const Tensor& dy, Grads& g) {
    // dx = scale dy, broadcast back: add dy to zeros of the shape of x.
    const Array zeros = g.scratch(shape, dy.type);
    g.backend().fill(zeros, 0.0);
    const Array scaled = g.scratch(dy.shape, dy.type);
    g.backend().unary({Unary::affine, scale, 0}, dy, scaled);
    g.backend().binary(Binary::add, zeros, scaled, g.sink(0));
  });
  return y;
}

}  // namespace

Var sum_all(const Pass& pass, const Var& x, double scale) {
  return reduce(pass, "sum_all", x, {1}, scale);
}
Var mean_all(const Pass& pass, const Var& x) {
  check(x.tensor().size() > 0, "mean_all: ", x.shape(), " has no elements");
  return reduce(pass, "mean_all", x, {1}, 1.0 / double(x.tensor().size()));
}
Var sum_columns(const Pass& pass, const Var& x, double scale) {
  return reduce(pass, "sum_columns", x, {x.shape().rows(), 1}, scale);
}
Var sum_rows(const Pass& pass, const Var& x, double scale) {
  return reduce(pass, "sum_rows", x, {1, x.shape().last()}, scale);
}

}  // namespace retort
