// A loss that is a mean over rows of a row kernel which gives value and gradient in one pass. How the fused
// losses of the engine and of distillation methods become differentiable.
#pragma once
#include "engine/ops/ops.h"
#include "engine/types.h"

namespace retort {

// make.operator()<T>(T* loss, T* gradient, T weight) returns the row kernel that writes, for each row of
// logits (B,C), loss[row] and, if gradient is not null, gradient[row, :], both multiplied by weight (1/B, so
// that sums are means). The result, of shape [1], is the sum over rows; each times its weight, where there
// are weights (B). name must be a literal.
template <class MakeKernel>
Var row_loss(const Pass& pass, const char* name, const Var& logits, MakeKernel make,
             const Var& weights = {}) {
  const int64_t rows = logits.shape()[0];
  check(rows > 0, name, ": the batch is empty");
  Var per_row = pass.make({rows}, logits.type());
  Var gradient = logits.requires_grad() ? pass.make(logits.shape(), logits.type()) : Var();
  with_real_type(logits.type(), name, [&]<class T>() {
    launch_rows(pass.backend(),
                make.template operator()<T>(per_row.tensor().as<T>(),
                                            gradient ? gradient.tensor().as<T>() : nullptr, T(1) / T(rows)),
                rows);
  });
  if (weights) {
    check(weights.tensor().size() == rows, name, ": ", weights.shape(), " weights for ", rows, " rows");
    const auto weigh = [&](Var& x) {
      const Var weighted = pass.make(x.shape(), x.type());
      pass.backend().binary(Binary::mul, x.tensor().reshaped({rows, x.tensor().size() / rows}),
                            weights.tensor().reshaped({rows, 1}),
                            Sink(weighted.tensor().reshaped({rows, x.tensor().size() / rows})));
      x = weighted;
    };
    weigh(per_row);
    if (gradient) weigh(gradient);
  }
  Var loss = pass.make({1}, logits.type());
  pass.backend().reduce_sum(per_row, 1.0, loss);
  pass.record(name, loss, {logits}, [gradient](const Tensor& dy, Grads& g) {
    g.backend().binary(Binary::mul, gradient, dy, g.sink(0));
  });
  return loss;
}

}  // namespace retort
