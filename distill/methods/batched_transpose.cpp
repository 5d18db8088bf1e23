#include "distill/methods/batched_transpose.h"

#include "distill/methods/batched_transpose_row.h"
#include "engine/types.h"

namespace retort {

namespace {

void transpose_blocks(Backend& backend, const Tensor& x, const Sink& y) {
  const int64_t blocks = x.shape[0], m = x.shape[1], n = x.shape[2];
  with_real_type(x.type, "batched_transpose", [&]<class T>() {
    const BatchedTransposeRow<T> kernel{x.as<T>(), y.to.as<T>(), m, n, y.accumulates()};
    launch_rows(backend, kernel, blocks * kernel.strips());
  });
}

}  // namespace

Var batched_transpose(const Pass& pass, const Var& x) {
  check(x.shape().rank() == 3, "batched_transpose: x has shape ", x.shape(), ", expected B,M,N");
  const int64_t blocks = x.shape()[0], m = x.shape()[1], n = x.shape()[2];
  Var y = pass.make({blocks, n, m}, x.type());
  transpose_blocks(pass.backend(), x, y);
  pass.record("batched_transpose", y, {x},
              [](const Tensor& dy, Grads& g) { transpose_blocks(g.backend(), dy, g.sink(0)); });
  return y;
}

}  // namespace retort
