// A backend around another one, as a base for what wraps a backend: it passes every function on, and says of
// every kernel what is computed. What a wrapper does not answer itself is so seen by it all the same, and
// what this base leaves out does not compile, since nothing in Backend has a body. Its functions stand in the
// class: what a kernel computes, reads and writes is said once.
#pragma once
#include <memory>
#include <string>

#include "engine/backend.h"
#include "engine/profile/kernel_call.h"

namespace retort {

class ForwardingBackend : public Backend {
 public:
  void* allocate(size_t size) override { return inner().allocate(size); }
  void release(void* data, size_t size) override { inner().release(data, size); }
  bool host_addressable() const override { return inner().host_addressable(); }
  std::string name() const override { return inner().name(); }
  std::string description() const override { return inner().description(); }
  void keep_plans(const std::string& folder) override { inner().keep_plans(folder); }
  void synchronise() override { inner().synchronise(); }
  void run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) override {
    inner().run_on_host(tasks, task);
  }
  void set_scalar(const Tensor& scalar, double value) override { inner().set_scalar(scalar, value); }

  void upload(const Tensor& to, const void* host) override {
    forward({"upload", {}, {}, to.shape, 0, bytes(to)}, [&](Backend& inner) { inner.upload(to, host); });
  }
  void download(void* host, const Tensor& from) override {
    forward({"download", from.shape, {}, {}, 0, bytes(from)},
            [&](Backend& inner) { inner.download(host, from); });
  }
  void fill(const Tensor& to, double value) override {
    forward({"fill", {}, {}, to.shape, 0, bytes(to)}, [&](Backend& inner) { inner.fill(to, value); });
  }
  void copy(const Tensor& from, const Sink& to) override {
    forward({"copy", from.shape, {}, to.to.shape, 0, bytes(from, to)},
            [&](Backend& inner) { inner.copy(from, to); });
  }
  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override {
    forward(
        {"conv2d", x.shape, w.shape, y.shape, conv_flops(y, w), bytes(x, w, epilogue.bias, epilogue.add, y)},
        [&](Backend& inner) { inner.conv2d(x, w, spec, epilogue, y); });
  }
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override {
    forward({"conv2d_input_gradient", dy.shape, w.shape, dx.to.shape, dx ? conv_flops(dy, w) : 0,
             bytes(dy, w, dx)},
            [&](Backend& inner) { inner.conv2d_input_gradient(dy, w, spec, dx); });
  }
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override {
    forward({"conv2d_weight_gradient", x.shape, dw.to.shape, dy.shape, dw ? conv_flops(dy, dw.to) : 0,
             bytes(x, dy, dw)},
            [&](Backend& inner) { inner.conv2d_weight_gradient(x, dy, spec, dw); });
  }
  // A pass over x for the statistics cannot be avoided; a second one can where a cache holds it.
  void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse, const Tensor& y) override {
    forward({"batch_norm_train", x.shape, {}, y.shape, 0, bytes(x, add, y)}, [&](Backend& inner) {
      inner.batch_norm_train(x, gamma, beta, add, spec, running_mean, running_var, mean, inverse, y);
    });
  }
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse,
                        const Tensor& y) override {
    forward({"batch_norm_apply", x.shape, {}, y.shape, 0, bytes(x, add, y)},
            [&](Backend& inner) { inner.batch_norm_apply(x, gamma, beta, add, spec, mean, inverse, y); });
  }
  void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse,
                           bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                           const Sink& dadd) override {
    const double read = bytes(x, dy) + (spec.relu ? bytes(y) : 0);
    forward({"batch_norm_gradient", dy.shape, {}, x.shape, 0, read + bytes(dx, dadd)}, [&](Backend& inner) {
      inner.batch_norm_gradient(x, y, dy, gamma, spec, mean, inverse, batch_statistics, dx, dgamma, dbeta,
                                dadd);
    });
  }
  void inverse_std(const Tensor& var, double eps, const Tensor& to) override {
    forward({"inverse_std", var.shape, {}, to.shape, 0, bytes(var, to)},
            [&](Backend& inner) { inner.inverse_std(var, eps, to); });
  }
  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) override {
    forward({"pool2d", x.shape, {}, y.shape, 0, bytes(x, y, argmax)},
            [&](Backend& inner) { inner.pool2d(x, spec, y, argmax); });
  }
  void pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                       const Sink& dx) override {
    forward({"pool2d_gradient", dy.shape, {}, dx.to.shape, 0, bytes(dy, argmax, dx)},
            [&](Backend& inner) { inner.pool2d_gradient(dy, spec, argmax, dx); });
  }
  void global_average(const Tensor& x, const Tensor& y) override {
    forward({"global_average", x.shape, {}, y.shape, 0, bytes(x, y)},
            [&](Backend& inner) { inner.global_average(x, y); });
  }
  void global_average_gradient(const Tensor& dy, const Sink& dx) override {
    forward({"global_average_gradient", dy.shape, {}, dx.to.shape, 0, bytes(dy, dx)},
            [&](Backend& inner) { inner.global_average_gradient(dy, dx); });
  }
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override {
    const double flops = c ? 2.0 * double(c.to.size()) * double(a.shape[transpose_a ? 0 : 1]) : 0;
    forward({"matmul", a.shape, b.shape, c.to.shape, flops, bytes(a, b, bias, c)},
            [&](Backend& inner) { inner.matmul(a, transpose_a, b, transpose_b, bias, c); });
  }
  void transpose(const Tensor& x, const Sink& y) override {
    forward({"transpose", x.shape, {}, y.to.shape, 0, bytes(x, y)},
            [&](Backend& inner) { inner.transpose(x, y); });
  }
  void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) override {
    const double flops = dw ? 2.0 * double(x.size()) * double(dy.shape.last()) : 0;
    forward({"linear_weight_gradient", x.shape, dw.to.shape, dy.shape, flops, bytes(x, dy, dw, dbias)},
            [&](Backend& inner) { inner.linear_weight_gradient(x, dy, dw, dbias); });
  }
  void unary(const UnaryOp& op, const Tensor& x, const Sink& y) override {
    forward({"unary", x.shape, {}, y.to.shape, 0, bytes(x, y)},
            [&](Backend& inner) { inner.unary(op, x, y); });
  }
  void unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                      const Sink& dx) override {
    forward({"unary_gradient", dy.shape, {}, dx.to.shape, 0, bytes(x, y, dy, dx)},
            [&](Backend& inner) { inner.unary_gradient(op, x, y, dy, dx); });
  }
  void binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) override {
    forward({"binary", a.shape, b.shape, y.to.shape, 0, bytes(a, b, y)},
            [&](Backend& inner) { inner.binary(op, a, b, y); });
  }
  void reduce_sum(const Tensor& x, double scale, const Sink& to) override {
    forward({"reduce_sum", x.shape, {}, to.to.shape, 0, bytes(x, to)},
            [&](Backend& inner) { inner.reduce_sum(x, scale, to); });
  }
  void scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) override {
    forward({"scale_by", x.shape, {}, y.to.shape, 0, bytes(x, y)},
            [&](Backend& inner) { inner.scale_by(x, scalar, factor, y); });
  }
  void add_to_total(const Tensor& x, double factor, const Tensor& total) override {
    forward({"add_to_total", x.shape, {}, {}, 0, bytes(x)},
            [&](Backend& inner) { inner.add_to_total(x, factor, total); });
  }
  void add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) override {
    forward({"add_rows_to_totals", x.shape, {}, {}, 0, bytes(x)},
            [&](Backend& inner) { inner.add_rows_to_totals(x, factors, totals); });
  }
  void copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                    int64_t count) override {
    const double moved = double(from.shape.rows() * count) * double(size_of(from.type));
    forward({"copy_columns", from.shape, {}, to.to.shape, 0, moved * (to.accumulates() ? 3 : 2)},
            [&](Backend& inner) { inner.copy_columns(from, from_first, to, to_first, count); });
  }
  void launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t kernel_bytes, int64_t rows,
                   int64_t scratch_bytes) override {
    forward({rows_kernel.name, {rows}, {}, {}, 0, 0}, [&](Backend& inner) {
      inner.launch_rows(rows_kernel, kernel, kernel_bytes, rows, scratch_bytes);
    });
  }
  void sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
           double weight_decay) override {
    forward({"sgd", w.shape, {}, {}, 0, 2 * bytes(w, v) + bytes(g)},
            [&](Backend& inner) { inner.sgd(w, g, v, lr, momentum, weight_decay); });
  }
  void cast(const Tensor& from, const Sink& to) override {
    forward({"cast", from.shape, {}, {}, 0, bytes(from, to)}, [&](Backend& inner) { inner.cast(from, to); });
  }
  void update_loss_scale(const Tensor& gradients, const Tensor& rounded, const Tensor& state) override {
    forward({"update_loss_scale", gradients.shape, {}, {}, 0, bytes(gradients, rounded)},
            [&](Backend& inner) { inner.update_loss_scale(gradients, rounded, state); });
  }
  void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                  double weight_decay, const Tensor& state) override {
    forward({"scaled_sgd", w.shape, {}, {}, 0, 2 * bytes(w, v) + bytes(g)},
            [&](Backend& inner) { inner.scaled_sgd(w, g, v, lr, momentum, weight_decay, state); });
  }
  void mixed_sgd(const MixedWeights& m, const Tensor& lr, double momentum, double weight_decay,
                 const Tensor& state) override {
    forward({"mixed_sgd", m.w.shape, {}, {}, 0, 2 * bytes(m.w, m.v) + bytes(m.g, m.rounded, m.rounded_g)},
            [&](Backend& inner) { inner.mixed_sgd(m, lr, momentum, weight_decay, state); });
  }

  bool can_branch() const override { return inner().can_branch(); }
  void begin_branch() override { inner().begin_branch(); }
  void end_branch() override { inner().end_branch(); }
  void join_branch() override { inner().join_branch(); }
  bool can_capture() const override { return inner().can_capture(); }
  void begin_capture() override { inner().begin_capture(); }
  int end_capture() override { return inner().end_capture(); }
  void replay(int graph) override { inner().replay(graph); }
  void release_graph(int graph) override { inner().release_graph(graph); }

 protected:
  // inner: null for a wrapper that computes nothing; what it leaves out is then an error where it is asked
  // for.
  explicit ForwardingBackend(std::unique_ptr<Backend> inner = nullptr) : inner_(std::move(inner)) {}

  // A kernel that the wrapper does not answer itself begins. True if it wants to hear of its end; it may
  // throw.
  virtual bool begins(const KernelCall& call) = 0;
  virtual void ends(const KernelCall&) {}

  Backend& inner() const {
    check(inner_ != nullptr, "a wrapper without a backend is asked for what it does not answer");
    return *inner_;
  }

 private:
  static double bytes_of(const Tensor& tensor) { return tensor ? double(tensor.bytes()) : 0; }
  static double bytes_of(const Sink& sink) { return bytes_of(sink.to) * (sink.accumulates() ? 2 : 1); }

  template <class... Operands>
  static double bytes(const Operands&... operands) {
    return (bytes_of(operands) + ... + 0.0);
  }

  // What a convolution multiplies and adds; y the output, w the weights.
  static double conv_flops(const Tensor& y, const Tensor& w) {
    return 2.0 * double(y.size()) * double(w.size() / w.shape[0]);
  }

  template <class F>
  void forward(const KernelCall& call, const F& f) {
    const bool heard = begins(call);
    f(inner());
    if (heard) ends(call);
  }

  const std::unique_ptr<Backend> inner_;
};

}  // namespace retort
