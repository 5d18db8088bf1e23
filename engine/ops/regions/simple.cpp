#include "engine/kernels/regions/simple_rows.h"
#include "engine/ops/region_ops.h"
#include "engine/types.h"

namespace retort {

namespace {

int64_t rows_of(int64_t size) {
  return (size + elements_of_a_row - 1) / elements_of_a_row;
}

template <class Formula>
Var element(const Pass& pass, const char* name, const Var& x) {
  const int64_t size = x.tensor().size();
  Var y = pass.make(x.shape(), x.type());
  with_real_type(x.type(), name, [&]<class T>() {
    launch_rows(pass.backend(), ElementRow<T, Formula>{x.tensor().as<T>(), y.tensor().as<T>(), size},
                rows_of(size));
  });
  pass.record(name, y, {x}, [x, name, size](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, name, [&]<class T>() {
      launch_rows(g.backend(),
                  ElementGradientRow<T, Formula>{x.tensor().as<T>(), dy.as<T>(), dx.to.as<T>(), size,
                                                 dx.accumulates()},
                  rows_of(size));
    });
  });
  return y;
}

}  // namespace

Var relu6(const Pass& pass, const Var& x) {
  return element<Relu6>(pass, "relu6", x);
}
Var softplus(const Pass& pass, const Var& x) {
  return element<Softplus>(pass, "softplus", x);
}

Var gather_rows(const Pass& pass, const Var& x, const Var& index) {
  check(index.type() == DType::i32 && index.shape().rank() == 1, "gather_rows: index ", index.shape(), " ",
        index.type(), ", expected a list of i32");
  const int64_t columns = x.shape().last(), rows = index.tensor().size();
  Var y = pass.make({rows, columns}, x.type());
  with_real_type(x.type(), "gather_rows", [&]<class T>() {
    launch_rows(
        pass.backend(),
        GatherRowsRow<T>{x.tensor().as<T>(), index.tensor().as<int32_t>(), y.tensor().as<T>(), columns},
        rows);
  });
  pass.record("gather_rows", y, {x}, [index](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    if (!dx.accumulates()) g.backend().fill(dx.to, 0.0);
    with_real_type(dy.type, "gather_rows", [&]<class T>() {
      launch_rows(g.backend(),
                  AddToRowsRow<T>{dy.as<T>(), index.tensor().as<int32_t>(), dx.to.as<T>(), dy.shape.last()},
                  dy.shape.rows());
    });
  });
  return y;
}

Var frozen_conv2d(const Pass& pass, const Var& x, const Var& w, const Var& scale, const Var& shift,
                  const Conv2dSpec& spec, bool relu, const Var& add) {
  const Shape& kernel = w.shape();
  check(kernel.rank() == 4 && scale.tensor().size() == kernel[0] && shift.tensor().size() == kernel[0],
        "frozen_conv2d: scale ", scale.shape(), " and shift ", shift.shape(), " for w ", kernel);
  const int64_t filters = kernel[0];
  const Var rows = reshape(pass, w, {filters, kernel.size() / filters});
  const Var scaled = reshape(pass, mul(pass, rows, scale.reshaped({filters, 1})), kernel);
  if (!pass.tape) return conv2d_fused(pass, x, scaled, shift, add, relu, spec);
  const Var y = conv2d(pass, x, scaled, shift, spec, add);
  return relu ? retort::relu(pass, y) : y;
}

}  // namespace retort
