#include "engine/optim.h"

#include "engine/kernels/loss_scale.h"
#include "engine/kernels/optimizer/nesterov_row.h"
#include "engine/types.h"

namespace retort {

Sgd::Sgd(Device& device, const std::vector<NamedParameter>& parameters, const SgdOptions& options)
    : device_(device), options_(options), parameters_(parameters), rate_now_(options.learning_rate) {
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
  Backend& backend = device_.backend();
  if (loss_scale()) backend.update_loss_scale(gradients_, loss_scale_state_);
  if (options_.nesterov)
    nesterov_step();
  else if (loss_scale())
    backend.scaled_sgd(values_, gradients_, momentum_, rate_.value, options_.momentum, options_.weight_decay,
                       loss_scale_state_);
  else
    backend.sgd(values_, gradients_, momentum_, rate_.value, options_.momentum, options_.weight_decay);
}

void Sgd::nesterov_step() {
  with_real_type(values_.tensor.type, "nesterov", [&]<class T>() {
    const int64_t numbers = values_.tensor.size();
    launch_rows(device_.backend(),
                NesterovRow<T>{values_.tensor.as<T>(), gradients_.tensor.as<T>(), momentum_.tensor.as<T>(),
                               rate_.value.as<double>(),
                               loss_scale() ? loss_scale_state_.tensor.as<double>() : nullptr, numbers,
                               T(options_.momentum), T(options_.weight_decay)},
                (numbers + nesterov_row_length - 1) / nesterov_row_length);
  });
}

void Sgd::set_learning_rate(double rate) {
  if (rate == rate_now_) return;
  rate_now_ = rate;
  device_.set(rate_, rate);
}

std::vector<std::pair<std::string, Tensor>> Sgd::parts_of(const Tensor& flat) const {
  std::vector<std::pair<std::string, Tensor>> result;
  for (const NamedParameter& p : parameters_) {
    const Tensor& value = p.parameter->value;
    const auto offset = static_cast<char*>(value.data) - static_cast<char*>(values_.tensor.data);
    result.push_back({p.name, {static_cast<char*>(flat.data) + offset, value.shape, value.type}});
  }
  return result;
}

std::vector<std::pair<std::string, Tensor>> Sgd::momenta() const {
  std::vector<std::pair<std::string, Tensor>> result = parts_of(momentum_);
  if (loss_scale()) result.push_back({"loss_scale", loss_scale_state_.tensor});
  return result;
}

}  // namespace retort
