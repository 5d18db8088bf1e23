// Convolutions: cuDNN's graphs where it has an engine for the problem, else own kernels. Groups of one
// channel go to the own kernels at once: each element takes a few products only, and what counts is that it
// is read once.
#include "engine/cuda/cuda_backend.h"

namespace retort {

namespace {

ConvShape conv_shape(const Shape& x, const Shape& w, const Shape& y, const Conv2dSpec& spec) {
  return {x[0], x[1], x[2], x[3], w[0], w[1], w[2], y[1], y[2], spec.stride, spec.pad, spec.groups};
}

bool depthwise(const Shape& w, const Conv2dSpec& spec) {
  return w[3] == 1 && spec.groups > 1;
}

}  // namespace

void Cuda::conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
                  const Tensor& y) {
  if (!depthwise(w.shape, spec) && lane_->cudnn.conv_forward(x, w, spec, epilogue, y)) return;
  check(x.type == w.type && x.type == y.type, "conv2d: x ", x.type, ", w ", w.type, ", y ", y.type);
  const float* bias = nullptr;
  if (epilogue.bias && epilogue.bias.type != DType::f32) {
    float* wide = static_cast<float*>(scratch(size_t(epilogue.bias.size()) * sizeof(float)));
    check_cuda(cast_kernel(stream(), epilogue.bias.type, epilogue.bias.data, DType::f32, wide,
                           epilogue.bias.size(), false),
               "conv2d: bias ", epilogue.bias.shape, " ", epilogue.bias.type);
    bias = wide;
  } else if (epilogue.bias) {
    bias = epilogue.bias.as<float>();
  }
  check_cuda(direct_convolution_kernel(stream(), x.type, conv_shape(x.shape, w.shape, y.shape, spec), x.data,
                                       w.data, bias, epilogue.add.data, epilogue.relu, y.data),
             "conv2d of x ", x.shape, " and w ", w.shape, " ", x.type);
}

void Cuda::conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec, const Sink& dx) {
  if (!dx) return;
  if (!depthwise(w.shape, spec) && lane_->cudnn.conv_input_gradient(dy, w, spec, dx)) return;
  check(dy.type == w.type && dy.type == dx.to.type, "conv2d_input_gradient: dy ", dy.type, ", w ", w.type,
        ", dx ", dx.to.type);
  check_cuda(direct_input_gradient_kernel(stream(), dy.type, conv_shape(dx.to.shape, w.shape, dy.shape, spec),
                                          dy.data, w.data, dx.to.data, dx.accumulates()),
             "conv2d_input_gradient of dy ", dy.shape, " and w ", w.shape, " ", dy.type);
}

void Cuda::conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec, const Sink& dw) {
  if (!dw) return;
  if (!depthwise(dw.to.shape, spec) && lane_->cudnn.conv_weight_gradient(x, dy, spec, dw)) return;
  check(x.type == dy.type, "conv2d_weight_gradient: x ", x.type, ", dy ", dy.type);
  const ConvShape shape = conv_shape(x.shape, dw.to.shape, dy.shape, spec);
  check_cuda(direct_weight_gradient_kernel(stream(), x.type, shape, x.data, dy.data, dw.to.type, dw.to.data,
                                           dw.accumulates(), scratch(direct_weight_gradient_scratch(shape))),
             "conv2d_weight_gradient of x ", x.shape, " and dy ", dy.shape, " ", x.type);
}

}  // namespace retort
