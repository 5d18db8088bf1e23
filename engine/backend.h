// Backend: the contract between the engine and a device. One virtual function per kernel, its formula above
// it.
//
// Contract for every kernel: it is enqueued on the device's one stream (a CPU backend runs it at once); it
// never allocates arena or device memory after its first call with the same shapes, never waits for the
// device, never reads device memory from the host. Outputs do not overlap inputs unless said. A Sink
// says whether a result overwrites or is added to what is there; an empty sink is not computed. Results are
// the same bits for any number of threads. Shapes are checked here and by the ops; tensors are never padded.
//
// Nothing has a body here: what leaves a function out does not compile. A default would pass by what wraps a
// backend, see profile/forwarding_backend.h.
#pragma once
#include <functional>
#include <string>

#include "engine/kernels/elementwise.h"
#include "engine/optim/mixed_weights.h"
#include "engine/row_kernel.h"
#include "engine/tensor.h"

namespace retort {

// A 2-d convolution (a cross-correlation, as everywhere in the field): x is N,H,W,C, the weights
// K,R,S,C/groups.
struct Conv2dSpec {
  int stride = 1;
  int pad = 0;
  int groups = 1;
};

// What follows a convolution without a tape: y = relu?(conv + bias + add). Empty tensors are left out.
struct ConvEpilogue {
  Tensor bias;  // K
  Tensor add;   // the shape of y; may be y itself
  bool relu = false;
};

struct Pool2dSpec {
  enum Kind { maximum, average } kind = maximum;
  int kernel = 2;
  int stride = 2;
  int pad = 0;  // an average counts the padding (PyTorch's count_include_pad=True)
};

// Batch norm over all but the last axis, with an optional residual and ReLU behind it:
// y = relu?(gamma (x - mean) / sqrt(var + eps) + beta + add). Ioffe and Szegedy, arXiv:1502.03167.
struct BatchNormSpec {
  double eps = 1e-5;
  double momentum = 0.1;  // running <- (1 - momentum) running + momentum batch
  bool relu = false;
};

class Backend : public Memory {
 public:
  virtual std::string name() const = 0;         // "portable", "onednn", "cuda"
  virtual std::string description() const = 0;  // for logs and env.json: instruction set, threads, versions
  // How each convolution is computed, where that was measured, is written into the folder from now on, and
  // what was chosen before as well: other choices have other bits, and a run goes on with its own.
  virtual void keep_plans(const std::string& folder) = 0;

  // --- memory and order ---------------------------------------------------------------------------------
  virtual void upload(const Tensor& to, const void* host) = 0;  // host may be reused on return
  virtual void download(void* host, const Tensor& from) = 0;    // waits for the device
  virtual void synchronise() = 0;
  // What the host does between kernels, at once: calls task(i) for every i in [0, tasks) on CPU threads, and
  // waits. task neither throws nor uses the device; what it computes may not depend on the thread.
  virtual void run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) = 0;
  // Sets a registered scalar (f64, one element) for the work enqueued from now on; what is in flight keeps
  // its value.
  virtual void set_scalar(const Tensor& scalar, double value) = 0;
  virtual void fill(const Tensor& to, double value) = 0;
  virtual void copy(const Tensor& from, const Sink& to) = 0;  // same size and type

  // --- convolution ----------------------------------------------------------------------------------------
  // y[n,i,j,k] = sum_rsc x[n, i stride + r - pad, j stride + s - pad, c] w[k,r,s,c], then the epilogue.
  virtual void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
                      const Tensor& y) = 0;
  // dx = the transpose of the map above, applied to dy.
  virtual void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                                     const Sink& dx) = 0;
  // dw[k,r,s,c] = sum_nij dy[n,i,j,k] x[n, i stride + r - pad, j stride + s - pad, c].
  virtual void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                                      const Sink& dw) = 0;

  // --- batch norm -----------------------------------------------------------------------------------------
  // Statistics of this batch, biased variance; mean and inverse_std (C) are kept for the pullback;
  // running_var receives the unbiased variance.
  virtual void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                                const BatchNormSpec& spec, const Tensor& running_mean,
                                const Tensor& running_var, const Tensor& mean, const Tensor& inverse_std,
                                const Tensor& y) = 0;
  // Statistics given: y = relu?(gamma (x - mean) inverse_std + beta + add).
  virtual void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                                const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                                const Tensor& y) = 0;
  // With g = dy, or dy where y > 0 under ReLU; xhat = (x - mean) inverse_std; m rows:
  //   dadd = g, dbeta = sum g, dgamma = sum g xhat,
  //   dx = gamma inverse_std (g - dbeta/m - xhat dgamma/m), or gamma inverse_std g if batch_statistics is
  //   false.
  // dgamma and dbeta are needed for dx; their sinks must not be empty.
  virtual void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                                   const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                                   bool batch_statistics, const Sink& dx, const Sink& dgamma,
                                   const Sink& dbeta, const Sink& dadd) = 0;
  // inverse_std = 1 / sqrt(var + eps)
  virtual void inverse_std(const Tensor& var, double eps, const Tensor& to) = 0;

  // --- pooling --------------------------------------------------------------------------------------------
  // argmax (i32, shape of y; for maximum only): the flat index of the chosen element of x, the first at a
  // tie. NaN is the largest.
  virtual void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) = 0;
  virtual void pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                               const Sink& dx) = 0;
  // y[n,c] = mean over h,w of x[n,h,w,c], and its transpose.
  virtual void global_average(const Tensor& x, const Tensor& y) = 0;
  virtual void global_average_gradient(const Tensor& dy, const Sink& dx) = 0;

  // --- matrices -------------------------------------------------------------------------------------------
  // c = op(a) op(b) + bias, op transposes if said; bias (columns of c) may be empty.
  virtual void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                      const Tensor& bias, const Sink& c) = 0;
  virtual void transpose(const Tensor& x, const Sink& y) = 0;  // matrix
  // The gradients of y = x w' + bias: dw = dy' x and, unless its sink is empty, dbias = the column sums of
  // dy.
  virtual void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw,
                                      const Sink& dbias) = 0;

  // --- element-wise and reductions ---------------------------------------------------------------------
  virtual void unary(const UnaryOp& op, const Tensor& x, const Sink& y) = 0;
  // dx = dy f'(x), y = f(x)
  virtual void unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                              const Sink& dx) = 0;
  // y = a op b. The larger operand has the shape of y, [rows, columns] with columns = y's last extent; the
  // other the same, or is broadcast: one element, [rows, 1] or [1, columns] (also [columns]).
  virtual void binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) = 0;
  // to = scale * sum of x over the axes in which `to` is broadcast against x, as above: to one element, one
  // per row, or one per column. In a fixed order.
  virtual void reduce_sum(const Tensor& x, double scale, const Sink& to) = 0;
  // y = x * scalar * factor, scalar an f64 device scalar.
  virtual void scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) = 0;
  // total (f64, one element) += factor * sum of x. For metrics; x may be f32 or f64.
  virtual void add_to_total(const Tensor& x, double factor, const Tensor& total) = 0;
  // totals[k] (f64) += factors[k] * sum of row k of x (f32), for the rows of x, at most most_totals. For
  // metrics.
  static constexpr int most_totals = 16;
  virtual void add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) = 0;

  // --- rows and columns -----------------------------------------------------------------------------------
  // A block of columns of matrices: to[r, to_first + j] (=|+=) from[r, from_first + j], j < count.
  virtual void copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                            int64_t count) = 0;
  // kernel is a row kernel's struct; element is its arithmetic type (f64 runs on the portable backend only).
  virtual void launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t kernel_bytes,
                           int64_t rows, int64_t scratch_bytes) = 0;

  // --- optimizer ------------------------------------------------------------------------------------------
  // w, v updated in place from g, see sgd_step; lr is an f64 device scalar.
  virtual void sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                   double weight_decay) = 0;

  // --- mixed precision (devices that compute in 16 bits; others throw) ------------------------------------
  // Between f32, f16 and bf16, rounded to nearest even.
  virtual void cast(const Tensor& from, const Sink& to) = 0;
  // Dynamic loss scaling, see kernels/loss_scale.h: looks whether the gradients are finite (f32, and those in
  // 16 bits if there are any) and moves the state (f64, of loss_scale_numbers).
  virtual void update_loss_scale(const Tensor& gradients, const Tensor& rounded_gradients,
                                 const Tensor& state) = 0;
  // As sgd, for gradients that carry the scale: they are divided by it, or the step is skipped, as
  // update_loss_scale decided.
  virtual void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr,
                          double momentum, double weight_decay, const Tensor& state) = 0;
  // As sgd, or as scaled_sgd where there is a state, over such arrays; rounded receives the new weights.
  virtual void mixed_sgd(const MixedWeights& weights, const Tensor& lr, double momentum, double weight_decay,
                         const Tensor& state) = 0;

  // --- a branch of a step ---------------------------------------------------------------------------------
  // What is enqueued between begin and end may run beside what is enqueued behind it, up to the join: neither
  // reads or writes what the other writes. For Branch (branch/branch.h), which gives it memory of its own; a
  // backend without branches runs everything in order.
  virtual bool can_branch() const = 0;
  virtual void begin_branch() = 0;
  virtual void end_branch() = 0;
  virtual void join_branch() = 0;

  // --- whole-step capture ------------------------------------------------------------------------------
  // Records what is enqueued between begin and end instead of running it; returns a graph to replay. A
  // backend that cannot throws.
  virtual bool can_capture() const = 0;
  virtual void begin_capture() = 0;
  virtual int end_capture() = 0;
  virtual void replay(int graph) = 0;
  virtual void release_graph(int graph) = 0;  // it is not replayed again
};

// Throws if the operands of matmul do not belong together.
void check_matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
                  const Tensor& c);

// Launches Kernel over rows [0, rows).
template <class Kernel>
void launch_rows(Backend& backend, const Kernel& kernel, int64_t rows) {
  backend.launch_rows(row_kernel<Kernel>(), &kernel, sizeof kernel, rows, kernel.scratch_bytes());
}

}  // namespace retort
