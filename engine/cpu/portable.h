// Portable: the CPU backend without dependencies, in f32 and f64; the specification of the others.
// Its arithmetic is in *_kernels.cpp, plain functions over pointers compiled once per instruction set; here
// the work is cut into tasks and given to the thread pool.
#pragma once
#include <vector>

#include "engine/backend.h"
#include "engine/cpu/conv/conv_problem.h"
#include "engine/cpu/thread_pool.h"
#include "engine/cpu/workers.h"

namespace retort {

class ConvTuning;

class Portable : public Backend {
 public:
  // tuning: where it is not null, the algorithm of a convolution that it does not know is measured, instead
  // of looked up in the static table, and given to it. It must outlive the backend, and belong to it alone.
  explicit Portable(int threads = 0, ConvTuning* tuning = nullptr);

  std::string name() const override { return "portable"; }
  std::string description() const override;
  void keep_plans(const std::string&) override {}  // its choices are those of ConvTuning

  void* allocate(size_t bytes) override;
  void release(void* data, size_t bytes) override;
  bool host_addressable() const override { return true; }

  void upload(const Tensor& to, const void* host) override;
  void download(void* host, const Tensor& from) override;
  void synchronise() override {}
  void run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) override;
  void set_scalar(const Tensor& scalar, double value) override;
  void fill(const Tensor& to, double value) override;
  void copy(const Tensor& from, const Sink& to) override;

  // convolution.cpp
  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override;
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override;
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override;

  // batch_norm.cpp
  void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse_std, const Tensor& y) override;
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                        const Tensor& y) override;
  void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                           bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                           const Sink& dadd) override;
  void inverse_std(const Tensor& var, double eps, const Tensor& to) override;

  // pooling.cpp
  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) override;
  void pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                       const Sink& dx) override;
  void global_average(const Tensor& x, const Tensor& y) override;
  void global_average_gradient(const Tensor& dy, const Sink& dx) override;

  // matrix.cpp
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override;
  void transpose(const Tensor& x, const Sink& y) override;
  void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) override;

  // elementwise.cpp
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

  // mixed_precision.cpp
  void cast(const Tensor& from, const Sink& to) override;
  void update_loss_scale(const Tensor& gradients, const Tensor& rounded_gradients,
                         const Tensor& state) override;
  void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                  double weight_decay, const Tensor& state) override;
  void mixed_sgd(const MixedWeights& weights, const Tensor& lr, double momentum, double weight_decay,
                 const Tensor& state) override;

  // Everything runs at once and in order.
  bool can_branch() const override { return false; }
  void begin_branch() override {}
  void end_branch() override {}
  void join_branch() override {}
  bool can_capture() const override { return false; }
  void begin_capture() override;
  int end_capture() override;
  void replay(int graph) override;
  void release_graph(int) override {}

  // conv_choice.cpp
  // What the static table takes, by instruction set and shape, and all that compute the problem in f32.
  virtual ConvAlgorithm static_algorithm(const ConvProblem& problem);
  virtual std::vector<ConvAlgorithm> algorithms(const ConvProblem& problem);

  // This backend's threads and scratch for what cuts work into tasks itself.
  const Workers& workers() const { return workers_; }

 protected:
  // The passes of convolutions by one of algorithms(); in f64 by direct. Operands are checked, sinks not
  // empty.
  virtual void conv2d_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& w, const Conv2dSpec& spec,
                         const ConvEpilogue& epilogue, const Tensor& y);
  virtual void conv2d_input_gradient_by(ConvAlgorithm algorithm, const Tensor& dy, const Tensor& w,
                                        const Conv2dSpec& spec, const Sink& dx);
  virtual void conv2d_weight_gradient_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& dy,
                                         const Conv2dSpec& spec, const Sink& dw);

  ThreadPool pool_;
  const Isa isa_;

  // Memory of one thread, at least bytes, aligned to 64; kept, grown at need, overwritten by the next kernel.
  void* thread_scratch(int thread, size_t bytes);
  // The same, shared by all threads: partial sums and packed weights.
  void* shared_scratch(size_t bytes);

  // Calls f(first, last) over parts of [0, count), cut into parts of a size that depends on count only.
  template <class F>
  void for_ranges(int64_t count, int64_t part, const F& f) {
    const int64_t tasks = (count + part - 1) / part;
    pool_.run(tasks, [&](int64_t task, int) {
      const int64_t first = task * part;
      f(first, first + part < count ? first + part : count);
    });
  }

 private:
  ConvAlgorithm algorithm_for(const ConvProblem& problem, DType type);
  ConvAlgorithm measured_algorithm(const ConvProblem& problem);

  struct Scratch {
    std::vector<char> memory;
    void* reserve(size_t bytes);
  };
  std::vector<Scratch> thread_scratch_;
  Scratch shared_scratch_;
  const Workers workers_;
  ConvTuning* const tuning_;
};

}  // namespace retort
