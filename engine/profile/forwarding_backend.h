// A backend around another one, as a base for what wraps a backend: it passes every function on, and says of
// every kernel what is computed. What a wrapper does not answer itself is so seen by it all the same, and
// what this base leaves out does not compile, since nothing in Backend has a body.
#pragma once
#include <memory>
#include <string>

#include "engine/backend.h"

namespace retort {

// One kernel. FLOPs count what the formula needs (a convolution's are those of the direct one, so Winograd
// may exceed what the cores can do); bytes count every operand once, or twice if it is added to, as if caches
// held all they could. 0: not known.
struct KernelCall {
  const char* op;  // "conv2d", a row kernel's name
  Shape in, weight, out;
  double flops = 0, bytes = 0;
};

class ForwardingBackend : public Backend {
 public:
  void* allocate(size_t size) override { return inner().allocate(size); }
  void release(void* data, size_t size) override { inner().release(data, size); }
  bool host_addressable() const override { return inner().host_addressable(); }
  std::string name() const override { return inner().name(); }
  std::string description() const override { return inner().description(); }
  void keep_plans(const std::string& folder) override { inner().keep_plans(folder); }
  void synchronise() override { inner().synchronise(); }
  void set_scalar(const Tensor& scalar, double value) override { inner().set_scalar(scalar, value); }

  void upload(const Tensor& to, const void* host) override;
  void download(void* host, const Tensor& from) override;
  void fill(const Tensor& to, double value) override;
  void copy(const Tensor& from, const Sink& to) override;
  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override;
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override;
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override;
  void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse, const Tensor& y) override;
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse,
                        const Tensor& y) override;
  void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse,
                           bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                           const Sink& dadd) override;
  void inverse_std(const Tensor& var, double eps, const Tensor& to) override;
  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) override;
  void pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                       const Sink& dx) override;
  void global_average(const Tensor& x, const Tensor& y) override;
  void global_average_gradient(const Tensor& dy, const Sink& dx) override;
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override;
  void transpose(const Tensor& x, const Sink& y) override;
  void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) override;
  void unary(const UnaryOp& op, const Tensor& x, const Sink& y) override;
  void unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                      const Sink& dx) override;
  void binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) override;
  void reduce_sum(const Tensor& x, double scale, const Sink& to) override;
  void scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) override;
  void add_to_total(const Tensor& x, double factor, const Tensor& total) override;
  void add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) override;
  void copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                    int64_t count) override;
  void launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t kernel_bytes, int64_t rows,
                   int64_t scratch_bytes) override;
  void sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
           double weight_decay) override;
  void cast(const Tensor& from, const Sink& to) override;
  void update_loss_scale(const Tensor& gradients, const Tensor& rounded, const Tensor& state) override;
  void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                  double weight_decay, const Tensor& state) override;
  void mixed_sgd(const MixedWeights& m, const Tensor& lr, double momentum, double weight_decay,
                 const Tensor& state) override;

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
  template <class F>
  void forward(const KernelCall& call, const F& f) {
    const bool heard = begins(call);
    f(inner());
    if (heard) ends(call);
  }

  const std::unique_ptr<Backend> inner_;
};

}  // namespace retort
