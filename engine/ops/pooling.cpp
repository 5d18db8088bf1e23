#include <cstdint>
#include <limits>

#include "engine/kernels/rows.h"
#include "engine/ops/ops.h"
#include "engine/types.h"

namespace retort {

Var pool2d(const Pass& pass, const Var& x, const Pool2dSpec& spec) {
  check(x.shape().rank() == 4, "pool2d: x has shape ", x.shape(), ", expected N,H,W,C");
  check(spec.kernel >= 1 && spec.stride >= 1 && spec.pad >= 0 && 2 * spec.pad <= spec.kernel,
        "pool2d: kernel ", spec.kernel, ", stride ", spec.stride, ", pad ", spec.pad,
        " are out of range; the padding is at most half the kernel");
  const Shape& s = x.shape();
  check(s[1] + 2 * spec.pad >= spec.kernel && s[2] + 2 * spec.pad >= spec.kernel, "pool2d: x ", s,
        " is smaller than the kernel of ", spec.kernel);
  const int64_t height = (s[1] + 2 * spec.pad - spec.kernel) / spec.stride + 1;
  const int64_t width = (s[2] + 2 * spec.pad - spec.kernel) / spec.stride + 1;
  check(spec.kind != Pool2dSpec::maximum || s.size() <= std::numeric_limits<int32_t>::max(), "pool2d: x ", s,
        " has more values than 32 bits can number; take a smaller batch");
  Var y = pass.make({s[0], height, width, s[3]}, x.type());
  const bool maximum = spec.kind == Pool2dSpec::maximum;
  const Var argmax = maximum ? pass.make(y.shape(), DType::i32) : Var();
  pass.backend().pool2d(x, spec, y, argmax);
  pass.record("pool2d", y, {x}, [argmax, spec](const Tensor& dy, Grads& g) {
    g.backend().pool2d_gradient(dy, spec, argmax, g.sink(0));
  });
  return y;
}

Var global_average_pool(const Pass& pass, const Var& x) {
  check(x.shape().rank() == 4, "global_average_pool: x has shape ", x.shape(), ", expected N,H,W,C");
  Var y = pass.make({x.shape()[0], x.shape()[3]}, wide_type(x.type()));
  pass.backend().global_average(x, y);
  pass.record("global_average_pool", y, {x},
              [](const Tensor& dy, Grads& g) { g.backend().global_average_gradient(dy, g.sink(0)); });
  return y;
}

namespace {

// One row kernel forward and one back for ops that give an image another height and width.
template <template <class> class Forward, template <class> class Gradient>
Var change_of_side(const Pass& pass, const char* name, const Var& x, int64_t height, int64_t width) {
  check(x.shape().rank() == 4 && height >= 1 && width >= 1, name, ": x has shape ", x.shape(),
        ", expected N,H,W,C, to be of side ", height, " x ", width);
  const Shape s = x.shape();
  const AdaptiveCells down{s[1], height}, across{s[2], width};
  Var y = pass.make({s[0], height, width, s[3]}, x.type());
  with_real_type(x.type(), name, [&]<class T>() {
    launch_rows(pass.backend(), Forward<T>{x.tensor().as<T>(), y.tensor().as<T>(), down, across, s[3]},
                s[0] * height * width);
  });
  pass.record(name, y, {x}, [s, down, across, name](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, name, [&]<class T>() {
      launch_rows(g.backend(), Gradient<T>{dy.as<T>(), dx.to.as<T>(), down, across, s[3], dx.accumulates()},
                  s.rows());
    });
  });
  return y;
}

}  // namespace

Var adaptive_average_pool(const Pass& pass, const Var& x, int64_t height, int64_t width) {
  return change_of_side<AdaptivePoolRow, AdaptivePoolGradientRow>(pass, "adaptive_average_pool", x, height,
                                                                  width);
}

Var resize_nearest(const Pass& pass, const Var& x, int64_t height, int64_t width) {
  return change_of_side<ResizeRow, ResizeGradientRow>(pass, "resize_nearest", x, height, width);
}

}  // namespace retort
