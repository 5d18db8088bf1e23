#include "engine/optim.h"

#include "engine/kernels/loss_scale.h"

namespace retort {

Sgd::Sgd(Device& device, const std::vector<NamedParameter>& parameters, const SgdOptions& options)
    : device_(device), options_(options), parameters_(parameters) {
  check(!parameters.empty(), "Sgd: no parameters to optimise");
  // Each starts at a cache line; the gaps hold zeros and stay so.
  constexpr int64_t line = 16;
  auto rounded = [](int64_t n) { return (n + line - 1) / line * line; };
  int64_t total = 0;
  const DType type = parameters[0].parameter->value.tensor.type;
  for (const NamedParameter& p : parameters) {
    check(bool(p.parameter->grad), "Sgd: parameter ", p.name, " is frozen");
    check(p.parameter->value.tensor.type == type, "Sgd: parameter ", p.name, " is ",
          p.parameter->value.tensor.type, ", the others are ", type);
    total += rounded(p.parameter->value.tensor.size());
  }
  values_ = device.persistent({total}, type);
  gradients_ = device.persistent({total}, type);
  momentum_ = device.persistent({total}, type);
  int64_t offset = 0;
  auto view = [&](const Array& flat, const Tensor& like) {
    Array part = flat;
    part.tensor = {static_cast<char*>(flat.tensor.data) + size_t(offset) * size_of(type), like.shape, type};
    return part;
  };
  for (const NamedParameter& p : parameters) {
    const Array value = view(values_, p.parameter->value);
    device.backend().copy(p.parameter->value, value);
    p.parameter->value = value;
    p.parameter->grad = view(gradients_, p.parameter->grad);
    offset += rounded(value.tensor.size());
  }
  rate_ = device.scalar(options.learning_rate);
  if (options.loss_scaling) {
    loss_scale_state_ = device.persistent({loss_scale_numbers}, DType::f64);
    double state[loss_scale_numbers] = {};
    state[loss_scale_value] = first_loss_scale;
    device.backend().upload(loss_scale_state_, state);
    loss_scale_ = {{loss_scale_state_.tensor.as<double>() + loss_scale_value, {1}, DType::f64}};
  }
}

void Sgd::step() {
  for (const NamedParameter& p : parameters_) {
    check(p.parameter->received, "Sgd::step: parameter ", p.name,
          " received no gradient; does the loss use it?");
  }
  if (loss_scale()) {
    device_.backend().update_loss_scale(gradients_, loss_scale_state_);
    device_.backend().scaled_sgd(values_, gradients_, momentum_, rate_.value, options_.momentum,
                                 options_.weight_decay, loss_scale_state_);
    return;
  }
  device_.backend().sgd(values_, gradients_, momentum_, rate_.value, options_.momentum,
                        options_.weight_decay);
}

std::vector<std::pair<std::string, Tensor>> Sgd::momenta() const {
  std::vector<std::pair<std::string, Tensor>> result;
  for (const NamedParameter& p : parameters_) {
    const Tensor& value = p.parameter->value;
    const auto offset = static_cast<char*>(value.data) - static_cast<char*>(values_.tensor.data);
    result.push_back({p.name, {static_cast<char*>(momentum_.tensor.data) + offset, value.shape, value.type}});
  }
  if (loss_scale()) result.push_back({"loss_scale", loss_scale_state_.tensor});
  return result;
}

double MultiStepSchedule::at(int epoch) const {
  double rate = base;
  for (int milestone : milestones) {
    if (epoch > milestone) rate *= factor;
  }
  return rate;
}

}  // namespace retort
