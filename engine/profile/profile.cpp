#include "engine/profile/profile.h"

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

class Profiled : public Backend {
 public:
  Profiled(std::unique_ptr<Backend> backend, Profile& profile)
      : inner_(std::move(backend)), profile_(profile) {}

  void* allocate(size_t size) override { return inner_->allocate(size); }
  void release(void* data, size_t size) override { inner_->release(data, size); }
  bool host_addressable() const override { return inner_->host_addressable(); }
  std::string name() const override { return inner_->name(); }
  std::string description() const override { return inner_->description(); }
  void synchronise() override { inner_->synchronise(); }
  void set_scalar(const Tensor& scalar, double value) override { inner_->set_scalar(scalar, value); }
  bool can_capture() const override { return !profile_.recording() && inner_->can_capture(); }
  void keep_plans(const std::string& folder) override { inner_->keep_plans(folder); }
  bool can_branch() const override { return inner_->can_branch(); }
  void begin_branch() override { inner_->begin_branch(); }
  void end_branch() override { inner_->end_branch(); }
  void join_branch() override { inner_->join_branch(); }
  void begin_capture() override { inner_->begin_capture(); }
  int end_capture() override { return inner_->end_capture(); }
  void replay(int graph) override { inner_->replay(graph); }
  void release_graph(int graph) override { inner_->release_graph(graph); }

  void upload(const Tensor& to, const void* host) override {
    timed({"upload", {}, {}, to.shape, 0, 0, 0, bytes(to)}, [&] { inner_->upload(to, host); });
  }
  void download(void* host, const Tensor& from) override {
    timed({"download", from.shape, {}, {}, 0, 0, 0, bytes(from)}, [&] { inner_->download(host, from); });
  }
  void fill(const Tensor& to, double value) override {
    timed({"fill", {}, {}, to.shape, 0, 0, 0, bytes(to)}, [&] { inner_->fill(to, value); });
  }
  void copy(const Tensor& from, const Sink& to) override {
    timed({"copy", from.shape, {}, to.to.shape, 0, 0, 0, bytes(from, to)}, [&] { inner_->copy(from, to); });
  }

  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override {
    timed({"conv2d", x.shape, w.shape, y.shape, 0, 0, conv_flops(y, w),
           bytes(x, w, epilogue.bias, epilogue.add, y)},
          [&] { inner_->conv2d(x, w, spec, epilogue, y); });
  }
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override {
    timed({"conv2d_input_gradient", dy.shape, w.shape, dx.to.shape, 0, 0, dx ? conv_flops(dy, w) : 0,
           bytes(dy, w, dx)},
          [&] { inner_->conv2d_input_gradient(dy, w, spec, dx); });
  }
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override {
    timed({"conv2d_weight_gradient", x.shape, dw.to.shape, dy.shape, 0, 0, dw ? conv_flops(dy, dw.to) : 0,
           bytes(x, dy, dw)},
          [&] { inner_->conv2d_weight_gradient(x, dy, spec, dw); });
  }

  // A pass over x for the statistics cannot be avoided; a second one can where a cache holds it.
  void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse, const Tensor& y) override {
    timed({"batch_norm_train", x.shape, {}, y.shape, 0, 0, 0, bytes(x, add, y)}, [&] {
      inner_->batch_norm_train(x, gamma, beta, add, spec, running_mean, running_var, mean, inverse, y);
    });
  }
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse,
                        const Tensor& y) override {
    timed({"batch_norm_apply", x.shape, {}, y.shape, 0, 0, 0, bytes(x, add, y)},
          [&] { inner_->batch_norm_apply(x, gamma, beta, add, spec, mean, inverse, y); });
  }
  void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse,
                           bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                           const Sink& dadd) override {
    const double read = bytes(x, dy) + (spec.relu ? bytes(y) : 0);
    timed({"batch_norm_gradient", dy.shape, {}, x.shape, 0, 0, 0, read + bytes(dx, dadd)}, [&] {
      inner_->batch_norm_gradient(x, y, dy, gamma, spec, mean, inverse, batch_statistics, dx, dgamma, dbeta,
                                  dadd);
    });
  }
  void inverse_std(const Tensor& var, double eps, const Tensor& to) override {
    timed({"inverse_std", var.shape, {}, to.shape, 0, 0, 0, bytes(var, to)},
          [&] { inner_->inverse_std(var, eps, to); });
  }

  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) override {
    timed({"pool2d", x.shape, {}, y.shape, 0, 0, 0, bytes(x, y, argmax)},
          [&] { inner_->pool2d(x, spec, y, argmax); });
  }
  void pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                       const Sink& dx) override {
    timed({"pool2d_gradient", dy.shape, {}, dx.to.shape, 0, 0, 0, bytes(dy, argmax, dx)},
          [&] { inner_->pool2d_gradient(dy, spec, argmax, dx); });
  }
  void global_average(const Tensor& x, const Tensor& y) override {
    timed({"global_average", x.shape, {}, y.shape, 0, 0, 0, bytes(x, y)},
          [&] { inner_->global_average(x, y); });
  }
  void global_average_gradient(const Tensor& dy, const Sink& dx) override {
    timed({"global_average_gradient", dy.shape, {}, dx.to.shape, 0, 0, 0, bytes(dy, dx)},
          [&] { inner_->global_average_gradient(dy, dx); });
  }

  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override {
    const double flops = c ? 2.0 * double(c.to.size()) * double(a.shape[transpose_a ? 0 : 1]) : 0;
    timed({"matmul", a.shape, b.shape, c.to.shape, 0, 0, flops, bytes(a, b, bias, c)},
          [&] { inner_->matmul(a, transpose_a, b, transpose_b, bias, c); });
  }
  void transpose(const Tensor& x, const Sink& y) override {
    timed({"transpose", x.shape, {}, y.to.shape, 0, 0, 0, bytes(x, y)}, [&] { inner_->transpose(x, y); });
  }

  void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) override {
    const double flops = dw ? 2.0 * double(x.size()) * double(dy.shape.last()) : 0;
    timed({"linear_weight_gradient", x.shape, dw.to.shape, dy.shape, 0, 0, flops, bytes(x, dy, dw, dbias)},
          [&] { inner_->linear_weight_gradient(x, dy, dw, dbias); });
  }

  void unary(const UnaryOp& op, const Tensor& x, const Sink& y) override {
    timed({"unary", x.shape, {}, y.to.shape, 0, 0, 0, bytes(x, y)}, [&] { inner_->unary(op, x, y); });
  }
  void unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                      const Sink& dx) override {
    timed({"unary_gradient", dy.shape, {}, dx.to.shape, 0, 0, 0, bytes(x, y, dy, dx)},
          [&] { inner_->unary_gradient(op, x, y, dy, dx); });
  }
  void binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) override {
    timed({"binary", a.shape, b.shape, y.to.shape, 0, 0, 0, bytes(a, b, y)},
          [&] { inner_->binary(op, a, b, y); });
  }
  void reduce_sum(const Tensor& x, double scale, const Sink& to) override {
    timed({"reduce_sum", x.shape, {}, to.to.shape, 0, 0, 0, bytes(x, to)},
          [&] { inner_->reduce_sum(x, scale, to); });
  }
  void scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) override {
    timed({"scale_by", x.shape, {}, y.to.shape, 0, 0, 0, bytes(x, y)},
          [&] { inner_->scale_by(x, scalar, factor, y); });
  }
  void add_to_total(const Tensor& x, double factor, const Tensor& total) override {
    timed({"add_to_total", x.shape, {}, {}, 0, 0, 0, bytes(x)},
          [&] { inner_->add_to_total(x, factor, total); });
  }
  void add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) override {
    timed({"add_rows_to_totals", x.shape, {}, {}, 0, 0, 0, bytes(x)},
          [&] { inner_->add_rows_to_totals(x, factors, totals); });
  }
  void copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                    int64_t count) override {
    const double moved = double(from.shape.rows() * count) * double(size_of(from.type));
    timed({"copy_columns", from.shape, {}, to.to.shape, 0, 0, 0, moved * (to.accumulates() ? 3 : 2)},
          [&] { inner_->copy_columns(from, from_first, to, to_first, count); });
  }
  void launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t kernel_bytes, int64_t rows,
                   int64_t scratch_bytes) override {
    timed({rows_kernel.name, {rows}, {}, {}, 0, 0, 0, 0},
          [&] { inner_->launch_rows(rows_kernel, kernel, kernel_bytes, rows, scratch_bytes); });
  }
  void sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
           double weight_decay) override {
    timed({"sgd", w.shape, {}, {}, 0, 0, 0, 2 * bytes(w, v) + bytes(g)},
          [&] { inner_->sgd(w, g, v, lr, momentum, weight_decay); });
  }

  void cast(const Tensor& from, const Sink& to) override {
    timed({"cast", from.shape, {}, {}, 0, 0, 0, bytes(from, to)}, [&] { inner_->cast(from, to); });
  }
  void update_loss_scale(const Tensor& gradients, const Tensor& rounded, const Tensor& state) override {
    timed({"update_loss_scale", gradients.shape, {}, {}, 0, 0, 0, bytes(gradients, rounded)},
          [&] { inner_->update_loss_scale(gradients, rounded, state); });
  }
  void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                  double weight_decay, const Tensor& state) override {
    timed({"scaled_sgd", w.shape, {}, {}, 0, 0, 0, 2 * bytes(w, v) + bytes(g)},
          [&] { inner_->scaled_sgd(w, g, v, lr, momentum, weight_decay, state); });
  }
  void mixed_sgd(const MixedWeights& m, const Tensor& lr, double momentum, double weight_decay,
                 const Tensor& state) override {
    timed({"mixed_sgd", m.w.shape, {}, {}, 0, 0, 0, 2 * bytes(m.w, m.v) + bytes(m.g, m.rounded, m.rounded_g)},
          [&] { inner_->mixed_sgd(m, lr, momentum, weight_decay, state); });
  }

 private:
  template <class F>
  void timed(ProfiledCall call, const F& f) {
    if (!profile_.recording()) return f();
    call.start = profile_.now();
    f();
    inner_->synchronise();
    call.seconds = profile_.now() - call.start;
    profile_.add(call);
  }

  const std::unique_ptr<Backend> inner_;
  Profile& profile_;
};

}  // namespace

void Profile::begin() {
  begun_ = Clock::now();
  if (!started_) first_ = begun_;
  started_ = recording_ = true;
}

void Profile::end() {
  if (recording_) seconds_ += std::chrono::duration<double>(Clock::now() - begun_).count();
  recording_ = false;
}

void Profile::clear() {
  calls_.clear();
  seconds_ = 0;
  started_ = recording_ = false;
}

double Profile::now() const {
  return std::chrono::duration<double>(Clock::now() - first_).count();
}

std::unique_ptr<Backend> make_profiled(std::unique_ptr<Backend> backend, Profile& profile) {
  return std::make_unique<Profiled>(std::move(backend), profile);
}

}  // namespace retort
