#include "engine/ops/ops.h"

namespace retort {

Var unary(const Pass& pass, const UnaryOp& op, const Var& x) {
  Var y = pass.make(x.shape(), x.type());
  pass.backend().unary(op, x, y);
  // Some formulas need x, some y: keep only what this one reads.
  const bool from_y = op.kind == Unary::relu || op.kind == Unary::exp || op.kind == Unary::sqrt ||
                      op.kind == Unary::sigmoid || op.kind == Unary::reciprocal;
  const Var kept = from_y ? y : x;
  pass.record("unary", y, {x}, [op, kept](const Tensor& dy, Grads& g) {
    g.backend().unary_gradient(op, kept, kept, dy, g.sink(0));
  });
  return y;
}

Var relu(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::relu}, x);
}
Var exp(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::exp}, x);
}
Var log(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::log}, x);
}
Var sqrt(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::sqrt}, x);
}
Var square(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::square}, x);
}
Var abs(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::abs}, x);
}
Var sigmoid(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::sigmoid}, x);
}
Var reciprocal(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::reciprocal}, x);
}
Var affine(const Pass& pass, const Var& x, double scale, double shift) {
  return unary(pass, {Unary::affine, scale, shift}, x);
}
Var at_least(const Pass& pass, const Var& x, double least) {
  return unary(pass, {Unary::at_least, 1, least}, x);
}
Var smooth_l1(const Pass& pass, const Var& x) {
  return unary(pass, {Unary::smooth_l1}, x);
}

Var scale_by(const Pass& pass, const Var& x, const Scalar& scalar, double factor) {
  Var y = pass.make(x.shape(), x.type());
  pass.backend().scale_by(x, scalar.value, factor, y);
  pass.record("scale_by", y, {x}, [scalar, factor](const Tensor& dy, Grads& g) {
    g.backend().scale_by(dy, scalar.value, factor, g.sink(0));
  });
  return y;
}

namespace {

bool broadcasts_to(const Tensor& small, const Shape& large) {
  const int64_t rows = large.rows(), columns = large.last(), size = small.size();
  if (small.shape == large || size == 1) return true;
  if (size == rows && small.shape.last() == 1) return true;
  return size == columns && small.shape.last() == columns;
}

// Adds scale * d, shaped like the result, to the gradient of an operand that may have been broadcast.
void pull(Grads& g, int input, const Tensor& d, const Shape& operand, double scale) {
  if (operand == d.shape) {
    if (scale == 1)
      g.backend().copy(d, g.sink(input));
    else
      g.backend().unary({Unary::affine, scale, 0}, d, g.sink(input));
  } else {
    g.backend().reduce_sum(d, scale, g.sink(input));
  }
}

Var binary(const Pass& pass, Binary op, const char* name, const Var& a, const Var& b) {
  const Shape& shape = a.tensor().size() >= b.tensor().size() ? a.shape() : b.shape();
  check(a.type() == b.type() && broadcasts_to(a, shape) && broadcasts_to(b, shape), name, ": ", a.shape(),
        " ", a.type(), " and ", b.shape(), " ", b.type(),
        " do not broadcast (one element, [rows, 1] or [1, columns] do)");
  Var y = pass.make(shape, a.type());
  pass.backend().binary(op, a, b, y);
  switch (op) {
    case Binary::add:
    case Binary::sub:
      pass.record(name, y, {a, b},
                  [sa = a.shape(), sb = b.shape(), sign = op == Binary::add ? 1.0 : -1.0](const Tensor& dy,
                                                                                          Grads& g) {
                    if (g.wants(0)) pull(g, 0, dy, sa, 1);
                    if (g.wants(1)) pull(g, 1, dy, sb, sign);
                  });
      break;
    case Binary::mul:
      pass.record(name, y, {a, b}, [a, b](const Tensor& dy, Grads& g) {
        for (int input : {0, 1}) {
          if (!g.wants(input)) continue;
          const Var& self = input == 0 ? a : b;
          const Var& other = input == 0 ? b : a;
          const Array d = g.scratch(dy.shape, dy.type);
          g.backend().binary(Binary::mul, dy, other, d);
          pull(g, input, d, self.shape(), 1);
        }
      });
      break;
    case Binary::div:
      // y = a / b: da = dy / b, db = -dy y / b.
      pass.record(name, y, {a, b}, [sa = a.shape(), b, y](const Tensor& dy, Grads& g) {
        const Array d = g.scratch(dy.shape, dy.type);
        g.backend().binary(Binary::div, dy, b, d);
        if (g.wants(0)) pull(g, 0, d, sa, 1);
        if (g.wants(1)) {
          const Array e = g.scratch(dy.shape, dy.type);
          g.backend().binary(Binary::mul, d, y, e);
          pull(g, 1, e, b.shape(), -1);
        }
      });
      break;
  }
  return y;
}

}  // namespace

Var add(const Pass& pass, const Var& a, const Var& b) {
  return binary(pass, Binary::add, "add", a, b);
}
Var sub(const Pass& pass, const Var& a, const Var& b) {
  return binary(pass, Binary::sub, "sub", a, b);
}
Var mul(const Pass& pass, const Var& a, const Var& b) {
  return binary(pass, Binary::mul, "mul", a, b);
}
Var div(const Pass& pass, const Var& a, const Var& b) {
  return binary(pass, Binary::div, "div", a, b);
}

}  // namespace retort
