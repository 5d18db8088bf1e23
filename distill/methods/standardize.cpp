#include "distill/methods/standardize.h"

#include "distill/methods/standardize_row.h"
#include "engine/types.h"

namespace retort {

Var standardize(const Pass& pass, const Var& logits) {
  const int64_t rows = logits.shape().rows(), n = logits.shape().last();
  check(n >= 2, Fault::usage, "standardize: logits ", logits.shape(), " have ", n,
        " class; a deviation needs at least 2");
  Var y = pass.make(logits.shape(), logits.type());
  const Var std = pass.make({rows}, logits.type());
  with_real_type(logits.type(), "standardize", [&]<class T>() {
    launch_rows(pass.backend(),
                StandardizeRow<T>{logits.tensor().as<T>(), y.tensor().as<T>(), std.tensor().as<T>(), n},
                rows);
  });
  pass.record("standardize", y, {logits}, [y, std, n](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, "standardize", [&]<class T>() {
      launch_rows(g.backend(),
                  StandardizeGradientRow<T>{y.tensor().as<T>(), std.tensor().as<T>(), dy.as<T>(),
                                            dx.to.as<T>(), n, dx.accumulates()},
                  dy.shape.rows());
    });
  });
  return y;
}

}  // namespace retort
