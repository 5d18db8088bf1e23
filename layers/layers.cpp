#include "layers/layers.h"

#include <cmath>
#include <utility>

#include "engine/types.h"
#include "layers/rounded/padded_weights.h"

namespace retort {

Conv2d::Conv2d(Device& device, int64_t in, int64_t out, const ConvOptions& options, DType type)
    : weight(device, {out, options.kernel, options.kernel, in / options.groups}, type),
      options_(options),
      in_(in) {
  check(in % options.groups == 0 && out % options.groups == 0, "Conv2d: ", in, " to ", out, " channels in ",
        options.groups, " groups");
  if (options_.pad < 0) options_.pad = options_.kernel / 2;
  if (options_.bias) bias = Parameter(device, {out}, type);
  kind_ = text("conv ", options_.kernel, "x", options_.kernel);
  if (options_.stride > 1) kind_ += text(" /", options_.stride);
  if (options_.groups > 1) kind_ += text(" g", options_.groups);
}

Conv2dSpec Conv2d::spec() const {
  return {options_.stride, options_.pad, options_.groups};
}

void Conv2d::visit(Visitor& visitor) {
  visitor.parameter("weight", weight, options_.init);
  if (!options_.bias) return;
  const int64_t fan_in = in_ / options_.groups * options_.kernel * options_.kernel;
  visitor.parameter("bias", bias, options_.bias_fan_in ? Init::fan_in(fan_in) : Init::zeros());
}

int64_t Conv2d::macs(const Shape& output) const {
  return output[1] * output[2] * output[3] * options_.kernel * options_.kernel * (in_ / options_.groups);
}

void Conv2d::observe(const Pass& pass, const Shape& output) const {
  if (pass.observer) pass.observer->on_call({this, kind_.c_str(), output, macs(output)});
}

Var Conv2d::operator()(const Var& x, const Pass& pass, const Var& add) {
  const Var w = pass.parameter(weight, x.type(), x.shape().last() / options_.groups);
  Var y = conv2d(pass, x, w, options_.bias ? pass.parameter(bias) : Var(), spec(), add);
  observe(pass, y.shape());
  return y;
}

BatchNorm::BatchNorm(Device& device, int64_t channels, DType type)
    : weight(device, {channels}, type, 1),
      bias(device, {channels}, type, 0),
      running_mean(device.persistent({channels}, type, 0)),
      running_var(device.persistent({channels}, type, 1)) {}

void BatchNorm::visit(Visitor& visitor) {
  visitor.parameter("weight", weight, Init::ones());
  visitor.parameter("bias", bias, Init::zeros());
  visitor.buffer("running_mean", running_mean, Init::zeros());
  visitor.buffer("running_var", running_var, Init::ones());
}

Var BatchNorm::operator()(const Var& x, const Pass& pass, bool relu, const Var& add) {
  Var y = batch_norm(pass, x, pass.parameter(weight), pass.parameter(bias), running_mean, running_var, add,
                     {.eps = eps, .momentum = momentum, .relu = relu});
  if (pass.observer) pass.observer->on_call({this, relu ? "batch norm, ReLU" : "batch norm", y.shape(), 0});
  return y;
}

void Conv2d::round(Device& device) {
  const DType type = image_type(device.precision());
  const Shape& shape = weight.value.tensor.shape;
  if (!is_16_bit(type) || weight.value.tensor.type != DType::f32 || weight.grad) return;
  const std::vector<double> numbers = read_values(device, weight.value);
  if (shape.last() == image_channels) {
    write_padded(device, weight.rounded, shape, numbers);
  } else {
    if (!weight.rounded) weight.rounded = device.persistent(shape, type);
    write_values(device, weight.rounded, numbers);
  }
}

ConvBn::ConvBn(Device& device, std::string conv_name, std::string bn_name, int64_t in, int64_t out,
               const ConvOptions& options, DType type)
    : conv(device, in, out, options, type),
      bn(device, out, type),
      conv_name_(std::move(conv_name)),
      bn_name_(std::move(bn_name)) {}

void ConvBn::visit(Visitor& visitor) {
  visitor.child(conv_name_, conv);
  visitor.child(bn_name_, bn);
}

Var ConvBn::operator()(const Var& x, const Pass& pass, bool relu, const Var& add) {
  if (!folded_weight_ || pass.tape || pass.training) return bn(conv(x, pass), pass, relu, add);
  const bool padded = folded_padded_ && x.shape().last() == padded_image_channels;
  Var y = conv2d_fused(pass, x, Var(padded ? folded_padded_ : folded_weight_), Var(folded_bias_), add, relu,
                       conv.spec());
  conv.observe(pass, y.shape());
  return y;
}

ConvBn::Folded ConvBn::folded(Device& device) const {
  Folded result;
  std::vector<double>&w = result.weight, &b = result.bias;
  w = read_values(device, conv.weight.value);
  const std::vector<double> gamma = read_values(device, bn.weight.value),
                            beta = read_values(device, bn.bias.value);
  const std::vector<double> mean = read_values(device, bn.running_mean),
                            var = read_values(device, bn.running_var);
  b.assign(gamma.size(), 0.0);
  if (conv.bias.value) b = read_values(device, conv.bias.value);
  const size_t per_channel = w.size() / gamma.size();
  for (size_t k = 0; k < gamma.size(); ++k) {
    const double scale = gamma[k] / std::sqrt(var[k] + BatchNorm::eps);
    for (size_t i = 0; i < per_channel; ++i) w[k * per_channel + i] *= scale;
    b[k] = beta[k] + (b[k] - mean[k]) * scale;
  }
  return result;
}

// Rounded once rather than in every pass.
DType ConvBn::folded_type(Device& device) const {
  const DType type = conv.weight.value.tensor.type, images = image_type(device.precision());
  return type == wide_type(images) ? images : type;
}

void ConvBn::fold(Device& device) {
  const Folded numbers = folded(device);
  if (!folded_weight_) {
    folded_weight_ = device.persistent(conv.weight.value.tensor.shape, folded_type(device));
    folded_bias_ = device.persistent(bn.bias.value.tensor.shape, folded_type(device));
  }
  write_values(device, folded_weight_, numbers.weight);
  if (is_16_bit(folded_type(device)) && conv.weight.value.tensor.shape.last() == image_channels)
    write_padded(device, folded_padded_, conv.weight.value.tensor.shape, numbers.weight);
  write_values(device, folded_bias_, numbers.bias);
}

namespace {

// As the type holds it.
double rounded_to(DType type, double value) {
  if (type == DType::f64) return value;
  return is_16_bit(type) ? double(float_of_bits16(type, bits16_of(type, float(value))))
                         : double(float(value));
}

}  // namespace

void ConvBn::check_folded(Device& device, const std::string& within, const std::string& source) const {
  const Folded numbers = folded(device);
  const DType type = folded_type(device);
  const size_t per_channel = numbers.weight.size() / numbers.bias.size();
  const auto refuse = [&](size_t channel, double value) {
    const std::string scope = within.empty() ? "" : within + ".";
    fail(Fault::input, source, ": ", scope, conv_name_, ".weight and ", scope, bn_name_, " give ",
         rounded_to(type, value), " in channel ", channel,
         " as one convolution, expected finite numbers that ", type, " can hold");
  };
  for (size_t i = 0; i < numbers.weight.size(); ++i)
    if (!std::isfinite(rounded_to(type, numbers.weight[i]))) refuse(i / per_channel, numbers.weight[i]);
  for (size_t k = 0; k < numbers.bias.size(); ++k)
    if (!std::isfinite(rounded_to(type, numbers.bias[k]))) refuse(k, numbers.bias[k]);
}

Linear::Linear(Device& device, int64_t in, int64_t out, const Options& options, DType type)
    : weight(device, {out, in}, type), bias(device, {out}, type), options_(options) {}

void Linear::visit(Visitor& visitor) {
  visitor.parameter("weight", weight, options_.weight);
  visitor.parameter("bias", bias, options_.bias);
}

Var Linear::operator()(const Var& x, const Pass& pass) {
  Var y = linear(pass, x, pass.parameter(weight), pass.parameter(bias));
  if (pass.observer) pass.observer->on_call({this, "linear", y.shape(), weight.value.tensor.size()});
  return y;
}

namespace {

class Folder : public Visitor {
 public:
  explicit Folder(Device& device) : device_(device) {}

 protected:
  void on_module(const std::string&, Module& m) override {
    if (auto* unit = dynamic_cast<ConvBn*>(&m)) unit->fold(device_), folded_ = &unit->conv;
    if (auto* conv = dynamic_cast<Conv2d*>(&m); conv && conv != folded_) conv->round(device_);
  }

 private:
  Device& device_;
  const Conv2d* folded_ = nullptr;  // of the unit met last; its child comes next
};

class DerivedCheck : public Visitor {
 public:
  DerivedCheck(Device& device, const std::string& source) : device_(device), source_(source) {}

  // After the visit: a fault of a batch norm alone is told before what follows from it.
  void check_units() const {
    for (const auto& [name, unit] : units_) unit->check_folded(device_, name, source_);
  }

 protected:
  void on_module(const std::string& name, Module& m) override {
    if (const auto* unit = dynamic_cast<ConvBn*>(&m)) units_.push_back({name, unit});
    if (const auto* norm = dynamic_cast<BatchNorm*>(&m)) check_norm(name, *norm);
  }

 private:
  void check_norm(const std::string& name, const BatchNorm& norm) const {
    const std::vector<double> gamma = read_values(device_, norm.weight.value),
                              beta = read_values(device_, norm.bias.value);
    const std::vector<double> mean = read_values(device_, norm.running_mean),
                              var = read_values(device_, norm.running_var);
    const DType type = norm.weight.value.tensor.type;
    for (size_t c = 0; c < var.size(); ++c) {
      check(var[c] >= 0, Fault::input, source_, ": tensor ", name, ".running_var holds ", var[c],
            " in channel ", c, ", expected variances of 0 or more");
      const double scale = gamma[c] / std::sqrt(var[c] + BatchNorm::eps), shift = beta[c] - mean[c] * scale;
      check(std::isfinite(rounded_to(type, scale)) && std::isfinite(rounded_to(type, shift)), Fault::input,
            source_, ": batch norm ", name, " scales channel ", c, " by ", rounded_to(type, scale),
            " and shifts it by ", rounded_to(type, shift), ", expected finite numbers that ", type,
            " can hold");
    }
  }

  Device& device_;
  const std::string& source_;
  std::vector<std::pair<std::string, const ConvBn*>> units_;
};

}  // namespace

void fold_batch_norms(Module& module, Device& device) {
  Folder visitor(device);
  module.visit(visitor);
}

void check_derived(Module& module, Device& device, const std::string& source) {
  DerivedCheck visitor(device, source);
  module.visit(visitor);
  visitor.check_units();
}

}  // namespace retort
