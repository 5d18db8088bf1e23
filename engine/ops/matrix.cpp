#include "engine/kernels/rows.h"
#include "engine/ops/ops.h"
#include "engine/types.h"

namespace retort {

namespace {

void check_matrix(const char* op, const Tensor& x) {
  check(x.shape.rank() == 2, op, ": operand has shape ", x.shape, ", expected a matrix");
}

}  // namespace

Var matmul(const Pass& pass, const Var& a, const Var& b, bool ta, bool tb) {
  check_matrix("matmul", a);
  check_matrix("matmul", b);
  const int64_t rows = a.shape()[ta ? 1 : 0], inner = a.shape()[ta ? 0 : 1], columns = b.shape()[tb ? 0 : 1];
  check(b.shape()[tb ? 1 : 0] == inner, "matmul: ", a.shape(), ta ? " transposed" : "", " times ", b.shape(),
        tb ? " transposed" : "");
  Var y = pass.make({rows, columns}, a.type());
  pass.backend().matmul(a, ta, b, tb, {}, y);
  pass.record("matmul", y, {a, b}, [a, b, ta, tb](const Tensor& dy, Grads& g) {
    // y = A B: dA = dy B', dB = A' dy, each transposed back if the operand was.
    if (g.wants(0)) {
      if (ta)
        g.backend().matmul(b, tb, dy, true, {}, g.sink(0));
      else
        g.backend().matmul(dy, false, b, !tb, {}, g.sink(0));
    }
    if (g.wants(1)) {
      if (tb)
        g.backend().matmul(dy, true, a, ta, {}, g.sink(1));
      else
        g.backend().matmul(a, !ta, dy, false, {}, g.sink(1));
    }
  });
  return y;
}

Var linear(const Pass& pass, const Var& x, const Var& w, const Var& bias) {
  if (x.type() != w.type()) return linear(pass, cast(pass, x, w.type()), w, bias);
  check_matrix("linear", x);
  check_matrix("linear", w);
  check(x.shape()[1] == w.shape()[1] && (!bias || bias.tensor().size() == w.shape()[0]), "linear: x ",
        x.shape(), ", w ", w.shape(), ", bias ", bias.shape());
  Var y = pass.make({x.shape()[0], w.shape()[0]}, x.type());
  pass.backend().matmul(x, false, w, true, bias, y);
  pass.record("linear", y, {x, w, bias}, [x, w](const Tensor& dy, Grads& g) {
    if (g.wants(0)) g.backend().matmul(dy, false, w, false, {}, g.sink(0));
    // In this order: a Var may be two of the operands.
    const Sink dw = g.wants(1) ? g.sink(1) : Sink{}, db = g.wants(2) ? g.sink(2) : Sink{};
    if (dw || db) g.backend().linear_weight_gradient(x, dy, dw, db);
  });
  return y;
}

Var transpose(const Pass& pass, const Var& x) {
  check_matrix("transpose", x);
  Var y = pass.make({x.shape()[1], x.shape()[0]}, x.type());
  pass.backend().transpose(x, y);
  pass.record("transpose", y, {x}, [](const Tensor& dy, Grads& g) { g.backend().transpose(dy, g.sink(0)); });
  return y;
}

Var batched_gram(const Pass& pass, const Var& x) {
  check(x.shape().rank() == 3, "batched_gram: x has shape ", x.shape(), ", expected B,N,D");
  const int64_t blocks = x.shape()[0], n = x.shape()[1], d = x.shape()[2];
  Var y = pass.make({blocks, n, n}, x.type());
  with_real_type(x.type(), "batched_gram", [&]<class T>() {
    launch_rows(pass.backend(), GramRow<T>{x.tensor().as<T>(), y.tensor().as<T>(), n, d}, blocks * n * n);
  });
  pass.record("batched_gram", y, {x}, [x, n, d](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, "batched_gram", [&]<class T>() {
      launch_rows(g.backend(),
                  GramGradientRow<T>{x.tensor().as<T>(), dy.as<T>(), dx.to.as<T>(), n, d, dx.accumulates()},
                  x.shape().rows());
    });
  });
  return y;
}

Var pair_differences(const Pass& pass, const Var& x) {
  check_matrix("pair_differences", x);
  const int64_t n = x.shape()[0], d = x.shape()[1];
  Var y = pass.make({n, n, d}, x.type());
  with_real_type(x.type(), "pair_differences", [&]<class T>() {
    launch_rows(pass.backend(), PairDifferenceRow<T>{x.tensor().as<T>(), y.tensor().as<T>(), n, d}, n * n);
  });
  pass.record("pair_differences", y, {x}, [n, d](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, "pair_differences", [&]<class T>() {
      launch_rows(g.backend(),
                  PairDifferenceGradientRow<T>{dy.as<T>(), dx.to.as<T>(), n, d, dx.accumulates()}, n);
    });
  });
  return y;
}

}  // namespace retort
