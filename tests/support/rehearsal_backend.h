// A device that computes nothing and obeys the CUDA backend's rules: kernels are given only the types that
// engine/cuda has kernels for; its memory is not read but by download(); while a step is captured nothing is
// allocated, uploaded, downloaded or waited for. What is wrong with a step before its first number is
// computed shows here, on a machine without a GPU.
#pragma once
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/backend.h"
#include "engine/kernels/loss_scale.h"
#include "engine/kernels/rows.h"
#include "engine/profile/forwarding_backend.h"

namespace retort::testing {

class RehearsalBackend : public ForwardingBackend {
 public:
  int captures = 0, replays = 0, kernels = 0;

  std::string name() const override { return "cuda"; }
  std::string description() const override { return "a rehearsal"; }
  void keep_plans(const std::string&) override {}
  bool host_addressable() const override { return false; }

  void* allocate(size_t bytes) override {
    outside_a_capture("allocate");
    void* data = std::aligned_alloc(Arena::alignment, bytes);  // arenas ask for multiples of it
    if (!data) throw std::bad_alloc();
    return std::memset(data, 0, bytes);
  }
  void release(void* data, size_t) override {
    outside_a_capture("release");
    std::free(data);
  }
  void upload(const Tensor& to, const void* host) override {
    outside_a_capture("upload");
    std::memcpy(to.data, host, to.bytes());
  }
  void download(void* host, const Tensor& from) override {
    outside_a_capture("download");
    std::memcpy(host, from.data, from.bytes());
  }
  void synchronise() override { outside_a_capture("synchronise"); }
  void run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) override {
    for (int64_t i = 0; i < tasks; ++i) task(i);
  }
  void set_scalar(const Tensor& scalar, double value) override {
    outside_a_capture("set_scalar");
    *scalar.as<double>() = value;
  }

  bool can_branch() const override { return true; }
  void begin_branch() override {
    check(!in_branch_, "rehearsal: a branch begins inside another");
    in_branch_ = joins_ = true;
  }
  void end_branch() override { in_branch_ = false; }
  void join_branch() override {
    check(!in_branch_ && joins_, "rehearsal: a branch is joined that did not end");
    joins_ = false;
  }

  bool can_capture() const override { return true; }
  void begin_capture() override {
    outside_a_capture("begin_capture");
    capturing_ = true;
  }
  int end_capture() override {
    check(capturing_, "rehearsal: a capture ends that did not begin");
    check(!joins_, "rehearsal: a capture ends before its branch is joined");
    capturing_ = false;
    return captures++;
  }
  void replay(int graph) override {
    outside_a_capture("replay");
    check(graph >= 0 && graph < captures, "rehearsal: step ", graph, " of ", captures);
    ++replays;
  }
  void release_graph(int) override {}

  void fill(const Tensor& to, double) override {
    kernel("fill", is_element(to.type) || to.type == DType::f64 || to.type == DType::i32);
  }
  void copy(const Tensor& from, const Sink& to) override {
    kernel("copy", same(from, to.to) && (!to.accumulates() || is_element(from.type)));
  }
  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec&, const ConvEpilogue& epilogue,
              const Tensor& y) override {
    kernel("conv2d", is_element(x.type) && w.type == x.type && y.type == x.type &&
                         (!epilogue.bias || is_f32(epilogue.bias) || epilogue.bias.type == x.type) &&
                         (!epilogue.add || same(epilogue.add, y)));
  }
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec&, const Sink& dx) override {
    kernel("conv2d_input_gradient",
           is_element(dy.type) && w.type == dy.type && (!dx || dx.to.type == dy.type));
  }
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec&, const Sink& dw) override {
    kernel("conv2d_weight_gradient",
           is_element(x.type) && dy.type == x.type && (!dw || is_f32(dw.to) || dw.to.type == x.type));
  }
  void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec&, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse_std, const Tensor& y) override {
    kernel("batch_norm_train", is_element(x.type) && same(x, y) && (!add || same(x, add)) &&
                                   all_f32(gamma, beta, running_mean, running_var, mean, inverse_std));
  }
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec&, const Tensor& mean, const Tensor& inverse_std,
                        const Tensor& y) override {
    kernel("batch_norm_apply", is_element(x.type) && same(x, y) && (!add || same(x, add)) &&
                                   all_f32(gamma, beta, mean, inverse_std));
  }
  void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std, bool,
                           const Sink& dx, const Sink& dgamma, const Sink& dbeta, const Sink& dadd) override {
    kernel("batch_norm_gradient", is_element(x.type) && same(x, dy) && (!spec.relu || same(x, y)) &&
                                      (!dx || same(x, dx.to)) && (!dadd || same(x, dadd.to)) &&
                                      all_f32(gamma, mean, inverse_std, dgamma.to, dbeta.to));
  }
  void inverse_std(const Tensor& var, double, const Tensor& to) override {
    kernel("inverse_std", all_f32(var, to));
  }
  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) override {
    kernel("pool2d", is_element(x.type) && y.type == x.type &&
                         (spec.kind == Pool2dSpec::average || argmax.type == DType::i32));
  }
  void pool2d_gradient(const Tensor& dy, const Pool2dSpec&, const Tensor&, const Sink& dx) override {
    kernel("pool2d_gradient", is_element(dy.type) && (!dx || dx.to.type == dy.type));
  }
  void global_average(const Tensor& x, const Tensor& y) override {
    kernel("global_average", is_element(x.type) && (y.type == x.type || is_f32(y)));
  }
  void global_average_gradient(const Tensor& dy, const Sink& dx) override {
    kernel("global_average_gradient",
           !dx || (is_element(dx.to.type) && (dy.type == dx.to.type || is_f32(dy))));
  }
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override {
    if (c) check_matmul(a, transpose_a, b, transpose_b, bias, c.to);
    kernel("matmul", all_f32(a, b) && (!bias || is_f32(bias)) && (!c || is_f32(c.to)));
  }
  void transpose(const Tensor& x, const Sink& y) override {
    kernel("transpose", is_element(x.type) && (!y || y.to.type == x.type));
  }
  void unary(const UnaryOp&, const Tensor& x, const Sink& y) override {
    kernel("unary", is_element(x.type) && same(x, y.to));
  }
  void unary_gradient(const UnaryOp&, const Tensor& x, const Tensor& y, const Tensor& dy,
                      const Sink& dx) override {
    kernel("unary_gradient", is_element(x.type) && same(x, y) && same(x, dy) && same(x, dx.to));
  }
  void binary(Binary, const Tensor& a, const Tensor& b, const Sink& y) override {
    kernel("binary", is_element(a.type) && b.type == a.type && y.to.type == a.type);
  }
  void reduce_sum(const Tensor& x, double, const Sink& to) override {
    const DType into = to.to.type;
    const bool per_row = to.to.size() != 1 && to.to.size() == x.shape.rows() && to.to.shape.last() == 1;
    const bool per_column = to.to.size() != 1 && !per_row && to.to.size() != x.size();
    kernel("reduce_sum", is_element(x.type) && is_element(into) &&
                             (into == x.type || (!per_row && into == DType::f32) || per_column));
  }
  void scale_by(const Tensor& x, const Tensor& scalar, double, const Sink& y) override {
    kernel("scale_by", is_element(x.type) && same(x, y.to) && scalar.type == DType::f64);
  }
  void add_to_total(const Tensor& x, double, const Tensor& total) override {
    kernel("add_to_total", (is_f32(x) || x.type == DType::f64) && total.type == DType::f64);
  }
  void add_rows_to_totals(const Tensor& x, const double*, const Tensor& totals) override {
    kernel("add_rows_to_totals", is_f32(x) && totals.type == DType::f64 && x.shape.rows() <= most_totals &&
                                     totals.size() >= x.shape.rows());
  }
  void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) override {
    kernel("linear_weight_gradient",
           all_f32(x, dy) && (!dw || is_f32(dw.to)) && (!dbias || is_f32(dbias.to)));
  }
  void copy_columns(const Tensor& from, int64_t, const Sink& to, int64_t, int64_t) override {
    kernel("copy_columns", is_element(from.type) && to.to.type == from.type);
  }
  void launch_rows(const RowKernel& rows_kernel, const void*, size_t, int64_t, int64_t) override {
    // Without CUDA no kernel has device code.
    const bool device_code = row_kernel<SoftmaxRow<float>>().device != nullptr;
    kernel(rows_kernel.name, !device_code || rows_kernel.device != nullptr);
  }
  void sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double, double) override {
    kernel("sgd", all_f32(w, g, v) && lr.type == DType::f64);
  }
  void cast(const Tensor& from, const Sink& to) override {
    kernel("cast", is_element(from.type) && is_element(to.to.type) && from.size() == to.to.size());
  }
  void update_loss_scale(const Tensor& gradients, const Tensor& rounded, const Tensor& state) override {
    kernel("update_loss_scale",
           is_f32(gradients) && (!rounded || is_element(rounded.type)) && state.type == DType::f64);
  }
  void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double, double,
                  const Tensor& state) override {
    kernel("scaled_sgd", all_f32(w, g, v) && lr.type == DType::f64 && state.type == DType::f64);
  }
  void mixed_sgd(const MixedWeights& m, const Tensor& lr, double, double, const Tensor& state) override {
    kernel("mixed_sgd", all_f32(m.w, m.g, m.v) && is_element(m.rounded.type) && !is_f32(m.rounded) &&
                            same(m.rounded, m.rounded_g) && m.rounded.size() >= m.place(m.narrow) &&
                            m.g.size() >= m.w.size() - m.narrow && lr.type == DType::f64 &&
                            (!state || state.type == DType::f64));
  }

 private:
  static bool is_element(DType type) {
    return type == DType::f32 || type == DType::f16 || type == DType::bf16;
  }
  static bool is_f32(const Tensor& t) { return t.type == DType::f32; }
  template <class... Tensors>
  static bool all_f32(const Tensors&... tensors) {
    return (is_f32(tensors) && ...);
  }
  static bool same(const Tensor& a, const Tensor& b) { return a.type == b.type && a.size() == b.size(); }

  bool begins(const KernelCall& call) override {
    fail(Fault::internal, "rehearsal: nothing is known of the types that ", call.op, " takes");
  }
  void outside_a_capture(const char* what) const {
    check(!capturing_, "rehearsal: ", what, " while a step is captured");
  }
  void kernel(const char* name, bool types_fit) {
    check(types_fit, "rehearsal: ", name, " is given types that the CUDA backend has no kernel for");
    ++kernels;
  }

  bool in_branch_ = false, joins_ = false;
  bool capturing_ = false;
};

}  // namespace retort::testing
