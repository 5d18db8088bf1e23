#include "engine/ops/ops.h"

namespace retort {

Var batch_norm(const Pass& pass, const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, const Var& add, const BatchNormSpec& spec) {
  const int64_t channels = x.shape().last();
  for (const Tensor& t : {gamma.tensor(), beta.tensor(), running_mean, running_var}) {
    check(t.size() == channels, "batch_norm: x ", x.shape(), " with a parameter or statistic of shape ",
          t.shape);
  }
  check(!add || add.shape() == x.shape(), "batch_norm: add ", add.shape(), " to ", x.shape());
  check(!pass.training || x.shape().rows() > 1, "batch_norm: ", x.shape(),
        " has one value per channel; training needs more than one");
  Var y = pass.make(x.shape(), x.type());
  Var mean = Var(running_mean);
  const Var inverse_std = pass.make({channels}, x.type());
  if (pass.training) {
    mean = pass.make({channels}, x.type());
    pass.backend().batch_norm_train(x, gamma, beta, add, spec, running_mean, running_var, mean, inverse_std,
                                    y);
  } else {
    pass.backend().inverse_std(running_var, spec.eps, inverse_std);
    pass.backend().batch_norm_apply(x, gamma, beta, add, spec, mean, inverse_std, y);
  }
  // y is only needed for the mask of the ReLU.
  const Var mask = spec.relu ? y : Var();
  pass.record("batch_norm", y, {x, gamma, beta, add},
              [x, gamma, mean, inverse_std, mask, spec, batch = pass.training,
               same = add.tensor().data == x.tensor().data](const Tensor& dy, Grads& g) {
                Sink dgamma = g.sink(1), dbeta = g.sink(2);
                Array scratch_gamma, scratch_beta;  // the kernel needs both sums for dx
                if (!dgamma) dgamma = scratch_gamma = g.scratch(gamma.shape(), gamma.type());
                if (!dbeta) dbeta = scratch_beta = g.scratch(gamma.shape(), gamma.type());
                const Sink dx = g.sink(0);
                // norm(x) + x: the kernel's outputs must not overlap, so the second goes through scratch.
                Array scratch_add;
                Sink dadd;
                if (same && g.wants(3))
                  dadd = scratch_add = g.scratch(x.shape(), x.type());
                else
                  dadd = g.sink(3);
                g.backend().batch_norm_gradient(x, mask, dy, gamma, spec, mean, inverse_std, batch, dx,
                                                dgamma, dbeta, dadd);
                if (scratch_add) g.backend().copy(scratch_add, g.sink(3));
              });
  return y;
}

Var normalize_rows(const Pass& pass, const Var& x, double least) {
  check(x.shape().rank() == 2, "normalize_rows: x has shape ", x.shape(), ", expected a matrix");
  const Var length = sqrt(pass, sum_columns(pass, square(pass, x)));
  return div(pass, x, least > 0 ? at_least(pass, length, least) : length);
}

}  // namespace retort
