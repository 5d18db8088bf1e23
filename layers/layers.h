// The basic layers. Parameter names and shapes in files are PyTorch's; in memory convolutions' are K,R,S,C.
#pragma once
#include <string>
#include <vector>

#include "engine/ops/ops.h"
#include "layers/module.h"

namespace retort {

struct ConvOptions {
  int kernel = 3;
  int stride = 1;
  int pad = -1;  // -1: kernel / 2
  int groups = 1;
  bool bias = false;
  Init init;  // of the weight; the bias starts at 0, or U(+-1/sqrt(fan_in)) with bias_fan_in
  bool bias_fan_in = false;
};

// Parameters weight (K,R,S,C/groups) and, if said, bias (K).
class Conv2d : public Module {
 public:
  Conv2d(Device& device, int64_t in, int64_t out, const ConvOptions& options, DType type = DType::f32);
  void visit(Visitor& visitor) override;
  // conv(x) + add; add may be an empty Var.
  Var operator()(const Var& x, const Pass& pass, const Var& add = {});

  const ConvOptions& options() const { return options_; }
  Conv2dSpec spec() const;
  // Of frozen weights, in 16 bits where the device computes in them: rounded once rather than in every pass.
  // To be called again when they have changed.
  void round(Device& device);
  int64_t macs(const Shape& output) const;
  void observe(const Pass& pass, const Shape& output) const;

  Parameter weight, bias;

 private:
  ConvOptions options_;
  int64_t in_;
  std::string kind_;
};

// Parameters weight and bias, buffers running_mean and running_var (C). relu and add are fused behind it.
class BatchNorm : public Module {
 public:
  BatchNorm(Device& device, int64_t channels, DType type = DType::f32);
  void visit(Visitor& visitor) override;
  // relu?(norm(x) + add); add may be an empty Var.
  Var operator()(const Var& x, const Pass& pass, bool relu = false, const Var& add = {});

  static constexpr double eps = 1e-5;
  double momentum = 0.1;  // of the running statistics
  Parameter weight, bias;
  Array running_mean, running_var;
};

// A convolution that feeds only a batch norm: relu?(norm(conv(x)) + add). Its two children live in the
// parent's scope under the names given. After fold() a pass without tape and training runs one convolution.
class ConvBn : public Module {
 public:
  ConvBn(Device& device, std::string conv_name, std::string bn_name, int64_t in, int64_t out,
         const ConvOptions& options, DType type = DType::f32);
  void visit(Visitor& visitor) override;
  Var operator()(const Var& x, const Pass& pass, bool relu, const Var& add = {});

  // Computes w gamma / sqrt(var + eps) and beta + (b - mean) gamma / sqrt(var + eps) from the present values.
  void fold(Device& device);
  // Fault::input if a number that fold() would compute is not finite; `within` is the parent's name.
  void check_folded(Device& device, const std::string& within, const std::string& source) const;

  Conv2d conv;
  BatchNorm bn;

 private:
  struct Folded {
    std::vector<double> weight, bias;
  };
  Folded folded(Device& device) const;
  DType folded_type(Device& device) const;

  std::string conv_name_, bn_name_;
  Array folded_weight_, folded_bias_;
  Array folded_padded_;  // the same weight for images that are drawn with more channels
};

// Parameters weight (out, in) and bias (out).
class Linear : public Module {
 public:
  struct Options {
    Init weight;
    Init bias;
  };
  // PyTorch's default: both U(+-1/sqrt(in)).
  static Options fan_in(int64_t in) { return {Init::fan_in(in), Init::fan_in(in)}; }
  Linear(Device& device, int64_t in, int64_t out, const Options& options, DType type = DType::f32);
  void visit(Visitor& visitor) override;
  Var operator()(const Var& x, const Pass& pass);

  Parameter weight, bias;

 private:
  Options options_;
};

// Folds every ConvBn of the module from its present values, and rounds frozen convolutions where the device
// computes in 16 bits; call again when they have changed.
void fold_batch_norms(Module& module, Device& device);

// Finite weights may still give numbers that are not: a variance below 0, a product that overflows.
// Fault::input, naming `source`, layer and channel, if a running_var is below 0 or what inference computes
// from a batch norm's numbers, folded or not, is not finite.
void check_derived(Module& module, Device& device, const std::string& source);

}  // namespace retort
