// Pooling: shapes checked, kernels called.
#include "engine/cuda/cuda_backend.h"

namespace retort {

namespace {

PoolShape pool_shape(const Shape& x, const Shape& y, const Pool2dSpec& spec) {
  return {x[0], x[1], x[2], x[3], y[1], y[2], spec.kernel, spec.stride, spec.pad};
}

int32_t* argmax_of(const Tensor& argmax, const Pool2dSpec& spec) {
  return spec.kind == Pool2dSpec::maximum ? argmax.as<int32_t>() : nullptr;
}

}  // namespace

void Cuda::pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) {
  check(x.size() <= INT32_MAX, "pool2d: x ", x.shape, " has more elements than an i32 can number");
  check_cuda(pool_kernel(stream(), x.type, pool_shape(x.shape, y.shape, spec), x.data, y.data,
                         argmax_of(argmax, spec)),
             "pool2d of ", x.shape, " ", x.type);
}

void Cuda::pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax, const Sink& dx) {
  if (!dx) return;
  check_cuda(pool_gradient_kernel(stream(), dy.type, pool_shape(dx.to.shape, dy.shape, spec), dy.data,
                                  argmax_of(argmax, spec), dx.to.data, dx.accumulates()),
             "pool2d_gradient of ", dx.to.shape, " ", dy.type);
}

void Cuda::global_average(const Tensor& x, const Tensor& y) {
  check_cuda(global_average_kernel(stream(), x.type, x.data, y.type, y.data, x.shape[0],
                                   x.shape[1] * x.shape[2], x.shape[3]),
             "global_average of ", x.shape, " ", x.type);
}

void Cuda::global_average_gradient(const Tensor& dy, const Sink& dx) {
  if (!dx) return;
  const Shape& s = dx.to.shape;
  check_cuda(global_average_gradient_kernel(stream(), dy.type, dy.data, dx.to.type, dx.to.data, s[0],
                                            s[1] * s[2], s[3], dx.accumulates()),
             "global_average_gradient of ", s, " ", dx.to.type);
}

}  // namespace retort
