// Batch norm: own kernels, or cuDNN's fused graphs where that was chosen and it has an engine for the
// problem.
#include "engine/cuda/cuda_backend.h"

namespace retort {

namespace {

BatchNormShape shape_of(const Tensor& x) {
  return {x.type, x.shape.rows(), x.shape.last()};
}

}  // namespace

void Cuda::batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                            const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                            const Tensor& mean, const Tensor& inverse_std, const Tensor& y) {
  if (options_.cudnn_batch_norm && lane_->cudnn.batch_norm_train(x, gamma, beta, add, spec, running_mean,
                                                                 running_var, mean, inverse_std, y))
    return;
  const BatchNormShape shape = shape_of(x);
  check_cuda(batch_norm_train_kernel(stream(), shape,
                                     {.x = x.data,
                                      .gamma = gamma.as<float>(),
                                      .beta = beta.as<float>(),
                                      .add = add.data,
                                      .relu = spec.relu,
                                      .eps = spec.eps,
                                      .momentum = spec.momentum,
                                      .running_mean = running_mean.as<float>(),
                                      .running_var = running_var.as<float>(),
                                      .mean = mean.as<float>(),
                                      .inverse_std = inverse_std.as<float>(),
                                      .y = y.data},
                                     cooperative_.had() && lane_ == &main_, programmatic(),
                                     scratch(batch_norm_scratch(shape)), tickets()),
             "batch_norm_train of ", x.shape, " ", x.type);
}

void Cuda::batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                            const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                            const Tensor& y) {
  check_cuda(batch_norm_apply_kernel(stream(), shape_of(x), x.data, gamma.as<float>(), beta.as<float>(),
                                     add.data, spec.relu, mean.as<float>(), inverse_std.as<float>(), y.data),
             "batch_norm_apply of ", x.shape, " ", x.type);
}

void Cuda::batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                               const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                               bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                               const Sink& dadd) {
  if (options_.cudnn_batch_norm &&
      lane_->cudnn.batch_norm_gradient(x, y, dy, gamma, spec, mean, inverse_std, batch_statistics, dx, dgamma,
                                       dbeta, dadd))
    return;
  const BatchNormShape shape = shape_of(x);
  check_cuda(batch_norm_gradient_kernel(stream(), shape,
                                        {.x = x.data,
                                         .y = spec.relu ? y.data : nullptr,
                                         .dy = dy.data,
                                         .gamma = gamma.as<float>(),
                                         .mean = mean.as<float>(),
                                         .inverse_std = inverse_std.as<float>(),
                                         .batch_statistics = batch_statistics,
                                         .dx = dx.to.data,
                                         .dadd = dadd.to.data,
                                         .dgamma = dgamma.to.as<float>(),
                                         .dbeta = dbeta.to.as<float>(),
                                         .dx_accumulates = dx.accumulates(),
                                         .dadd_accumulates = dadd.accumulates(),
                                         .dgamma_accumulates = dgamma.accumulates(),
                                         .dbeta_accumulates = dbeta.accumulates()},
                                        programmatic(), scratch(batch_norm_scratch(shape)), tickets()),
             "batch_norm_gradient of ", x.shape, " ", x.type);
}

void Cuda::inverse_std(const Tensor& var, double eps, const Tensor& to) {
  check_cuda(inverse_std_kernel(stream(), var.as<float>(), eps, to.as<float>(), var.size()),
             "inverse_std of ", var.shape);
}

}  // namespace retort
