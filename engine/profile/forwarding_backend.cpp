#include "engine/profile/forwarding_backend.h"

namespace retort {

namespace {

double bytes_of(const Tensor& tensor) {
  return tensor ? double(tensor.bytes()) : 0;
}

double bytes_of(const Sink& sink) {
  return bytes_of(sink.to) * (sink.accumulates() ? 2 : 1);
}

template <class... Operands>
double bytes(const Operands&... operands) {
  return (bytes_of(operands) + ... + 0.0);
}

// What a convolution multiplies and adds; y the output, w the weights.
double conv_flops(const Tensor& y, const Tensor& w) {
  return 2.0 * double(y.size()) * double(w.size() / w.shape[0]);
}

}  // namespace

void ForwardingBackend::upload(const Tensor& to, const void* host) {
  forward({"upload", {}, {}, to.shape, 0, bytes(to)}, [&](Backend& inner) { inner.upload(to, host); });
}

void ForwardingBackend::download(void* host, const Tensor& from) {
  forward({"download", from.shape, {}, {}, 0, bytes(from)},
          [&](Backend& inner) { inner.download(host, from); });
}

void ForwardingBackend::fill(const Tensor& to, double value) {
  forward({"fill", {}, {}, to.shape, 0, bytes(to)}, [&](Backend& inner) { inner.fill(to, value); });
}

void ForwardingBackend::copy(const Tensor& from, const Sink& to) {
  forward({"copy", from.shape, {}, to.to.shape, 0, bytes(from, to)},
          [&](Backend& inner) { inner.copy(from, to); });
}

void ForwardingBackend::conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec,
                               const ConvEpilogue& epilogue, const Tensor& y) {
  forward(
      {"conv2d", x.shape, w.shape, y.shape, conv_flops(y, w), bytes(x, w, epilogue.bias, epilogue.add, y)},
      [&](Backend& inner) { inner.conv2d(x, w, spec, epilogue, y); });
}

void ForwardingBackend::conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                                              const Sink& dx) {
  forward(
      {"conv2d_input_gradient", dy.shape, w.shape, dx.to.shape, dx ? conv_flops(dy, w) : 0, bytes(dy, w, dx)},
      [&](Backend& inner) { inner.conv2d_input_gradient(dy, w, spec, dx); });
}

void ForwardingBackend::conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                                               const Sink& dw) {
  forward({"conv2d_weight_gradient", x.shape, dw.to.shape, dy.shape, dw ? conv_flops(dy, dw.to) : 0,
           bytes(x, dy, dw)},
          [&](Backend& inner) { inner.conv2d_weight_gradient(x, dy, spec, dw); });
}

// A pass over x for the statistics cannot be avoided; a second one can where a cache holds it.
void ForwardingBackend::batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                         const Tensor& add, const BatchNormSpec& spec,
                                         const Tensor& running_mean, const Tensor& running_var,
                                         const Tensor& mean, const Tensor& inverse, const Tensor& y) {
  forward({"batch_norm_train", x.shape, {}, y.shape, 0, bytes(x, add, y)}, [&](Backend& inner) {
    inner.batch_norm_train(x, gamma, beta, add, spec, running_mean, running_var, mean, inverse, y);
  });
}

void ForwardingBackend::batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                         const Tensor& add, const BatchNormSpec& spec, const Tensor& mean,
                                         const Tensor& inverse, const Tensor& y) {
  forward({"batch_norm_apply", x.shape, {}, y.shape, 0, bytes(x, add, y)},
          [&](Backend& inner) { inner.batch_norm_apply(x, gamma, beta, add, spec, mean, inverse, y); });
}

void ForwardingBackend::batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy,
                                            const Tensor& gamma, const BatchNormSpec& spec,
                                            const Tensor& mean, const Tensor& inverse, bool batch_statistics,
                                            const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                                            const Sink& dadd) {
  const double read = bytes(x, dy) + (spec.relu ? bytes(y) : 0);
  forward({"batch_norm_gradient", dy.shape, {}, x.shape, 0, read + bytes(dx, dadd)}, [&](Backend& inner) {
    inner.batch_norm_gradient(x, y, dy, gamma, spec, mean, inverse, batch_statistics, dx, dgamma, dbeta,
                              dadd);
  });
}

void ForwardingBackend::inverse_std(const Tensor& var, double eps, const Tensor& to) {
  forward({"inverse_std", var.shape, {}, to.shape, 0, bytes(var, to)},
          [&](Backend& inner) { inner.inverse_std(var, eps, to); });
}

void ForwardingBackend::pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y,
                               const Tensor& argmax) {
  forward({"pool2d", x.shape, {}, y.shape, 0, bytes(x, y, argmax)},
          [&](Backend& inner) { inner.pool2d(x, spec, y, argmax); });
}

void ForwardingBackend::pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                                        const Sink& dx) {
  forward({"pool2d_gradient", dy.shape, {}, dx.to.shape, 0, bytes(dy, argmax, dx)},
          [&](Backend& inner) { inner.pool2d_gradient(dy, spec, argmax, dx); });
}

void ForwardingBackend::global_average(const Tensor& x, const Tensor& y) {
  forward({"global_average", x.shape, {}, y.shape, 0, bytes(x, y)},
          [&](Backend& inner) { inner.global_average(x, y); });
}

void ForwardingBackend::global_average_gradient(const Tensor& dy, const Sink& dx) {
  forward({"global_average_gradient", dy.shape, {}, dx.to.shape, 0, bytes(dy, dx)},
          [&](Backend& inner) { inner.global_average_gradient(dy, dx); });
}

void ForwardingBackend::matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                               const Tensor& bias, const Sink& c) {
  const double flops = c ? 2.0 * double(c.to.size()) * double(a.shape[transpose_a ? 0 : 1]) : 0;
  forward({"matmul", a.shape, b.shape, c.to.shape, flops, bytes(a, b, bias, c)},
          [&](Backend& inner) { inner.matmul(a, transpose_a, b, transpose_b, bias, c); });
}

void ForwardingBackend::transpose(const Tensor& x, const Sink& y) {
  forward({"transpose", x.shape, {}, y.to.shape, 0, bytes(x, y)},
          [&](Backend& inner) { inner.transpose(x, y); });
}

void ForwardingBackend::linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw,
                                               const Sink& dbias) {
  const double flops = dw ? 2.0 * double(x.size()) * double(dy.shape.last()) : 0;
  forward({"linear_weight_gradient", x.shape, dw.to.shape, dy.shape, flops, bytes(x, dy, dw, dbias)},
          [&](Backend& inner) { inner.linear_weight_gradient(x, dy, dw, dbias); });
}

void ForwardingBackend::unary(const UnaryOp& op, const Tensor& x, const Sink& y) {
  forward({"unary", x.shape, {}, y.to.shape, 0, bytes(x, y)}, [&](Backend& inner) { inner.unary(op, x, y); });
}

void ForwardingBackend::unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                                       const Sink& dx) {
  forward({"unary_gradient", dy.shape, {}, dx.to.shape, 0, bytes(x, y, dy, dx)},
          [&](Backend& inner) { inner.unary_gradient(op, x, y, dy, dx); });
}

void ForwardingBackend::binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) {
  forward({"binary", a.shape, b.shape, y.to.shape, 0, bytes(a, b, y)},
          [&](Backend& inner) { inner.binary(op, a, b, y); });
}

void ForwardingBackend::reduce_sum(const Tensor& x, double scale, const Sink& to) {
  forward({"reduce_sum", x.shape, {}, to.to.shape, 0, bytes(x, to)},
          [&](Backend& inner) { inner.reduce_sum(x, scale, to); });
}

void ForwardingBackend::scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) {
  forward({"scale_by", x.shape, {}, y.to.shape, 0, bytes(x, y)},
          [&](Backend& inner) { inner.scale_by(x, scalar, factor, y); });
}

void ForwardingBackend::add_to_total(const Tensor& x, double factor, const Tensor& total) {
  forward({"add_to_total", x.shape, {}, {}, 0, bytes(x)},
          [&](Backend& inner) { inner.add_to_total(x, factor, total); });
}

void ForwardingBackend::add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) {
  forward({"add_rows_to_totals", x.shape, {}, {}, 0, bytes(x)},
          [&](Backend& inner) { inner.add_rows_to_totals(x, factors, totals); });
}

void ForwardingBackend::copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                                     int64_t count) {
  const double moved = double(from.shape.rows() * count) * double(size_of(from.type));
  forward({"copy_columns", from.shape, {}, to.to.shape, 0, moved * (to.accumulates() ? 3 : 2)},
          [&](Backend& inner) { inner.copy_columns(from, from_first, to, to_first, count); });
}

void ForwardingBackend::launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t kernel_bytes,
                                    int64_t rows, int64_t scratch_bytes) {
  forward({rows_kernel.name, {rows}, {}, {}, 0, 0},
          [&](Backend& inner) { inner.launch_rows(rows_kernel, kernel, kernel_bytes, rows, scratch_bytes); });
}

void ForwardingBackend::sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr,
                            double momentum, double weight_decay) {
  forward({"sgd", w.shape, {}, {}, 0, 2 * bytes(w, v) + bytes(g)},
          [&](Backend& inner) { inner.sgd(w, g, v, lr, momentum, weight_decay); });
}

void ForwardingBackend::cast(const Tensor& from, const Sink& to) {
  forward({"cast", from.shape, {}, {}, 0, bytes(from, to)}, [&](Backend& inner) { inner.cast(from, to); });
}

void ForwardingBackend::update_loss_scale(const Tensor& gradients, const Tensor& rounded,
                                          const Tensor& state) {
  forward({"update_loss_scale", gradients.shape, {}, {}, 0, bytes(gradients, rounded)},
          [&](Backend& inner) { inner.update_loss_scale(gradients, rounded, state); });
}

void ForwardingBackend::scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr,
                                   double momentum, double weight_decay, const Tensor& state) {
  forward({"scaled_sgd", w.shape, {}, {}, 0, 2 * bytes(w, v) + bytes(g)},
          [&](Backend& inner) { inner.scaled_sgd(w, g, v, lr, momentum, weight_decay, state); });
}

void ForwardingBackend::mixed_sgd(const MixedWeights& m, const Tensor& lr, double momentum,
                                  double weight_decay, const Tensor& state) {
  forward({"mixed_sgd", m.w.shape, {}, {}, 0, 2 * bytes(m.w, m.v) + bytes(m.g, m.rounded, m.rounded_g)},
          [&](Backend& inner) { inner.mixed_sgd(m, lr, momentum, weight_decay, state); });
}

}  // namespace retort
