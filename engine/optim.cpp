#include "engine/optim.h"

#include <algorithm>

#include "engine/kernels/loss_scale.h"
#include "engine/kernels/optimizer/nesterov_row.h"
#include "engine/optim/narrow_weights.h"
#include "engine/types.h"

namespace retort {

namespace {

// Each parameter starts at a cache line; the gaps hold zeros and stay so.
int64_t in_lines(int64_t n) {
  constexpr int64_t line = 16;
  return (n + line - 1) / line * line;
}

Array part_of(const Array& flat, int64_t first, const Shape& shape) {
  Array part = flat;
  part.tensor = flat.tensor.part(first, shape);
  return part;
}

}  // namespace

Sgd::Sgd(Device& device, const std::vector<NamedParameter>& parameters, const SgdOptions& options)
    : device_(device), options_(options), parameters_(parameters), rate_now_(options.learning_rate) {
  check(!parameters.empty(), "Sgd: no parameters to optimise");
  const DType type = parameters[0].parameter->value.tensor.type;
  bool narrow = false;
  for (const NamedParameter& p : parameters) {
    check(bool(p.parameter->grad), "Sgd: parameter ", p.name, " is frozen");
    check(p.parameter->value.tensor.type == type, "Sgd: parameter ", p.name, " is ",
          p.parameter->value.tensor.type, ", the others are ", type);
    narrow |= p.narrow;
  }
  if (has_two_gradients()) {
    check(*options.dot_delta >= 0 && *options.dot_delta <= options.momentum, Fault::usage,
          "optimizer.delta is ", *options.dot_delta, ", expected 0 to the momentum, ", options.momentum);
    check(!options.nesterov, Fault::usage,
          "optimizer.kind = dot has two momenta, and optimizer.nesterov is true: one of the two must go");
    begun_ = device.persistent({1}, DType::f64, 0);
  }
  check(!narrow || !(has_two_gradients() || options.nesterov),
        "Sgd: parameters in 16 bits, expected none with two gradients or Nesterov's momentum");
  check(!narrow || options.norm_decay,
        "Sgd: parameters in 16 bits, expected none with norms that do not decay");
  narrow_first(parameters_);
  if (!options.norm_decay)
    std::stable_partition(parameters_.begin(), parameters_.end(),
                          [](const NamedParameter& p) { return p.norm; });
  lay_out();
  rate_ = device.scalar(options.learning_rate);
  if (options.loss_scaling) {
    loss_scale_state_ = device.persistent({loss_scale_numbers}, DType::f64);
    double state[loss_scale_numbers] = {};
    state[loss_scale_value] = first_loss_scale;
    device.backend().upload(loss_scale_state_, state);
    loss_scale_ = Scalar{loss_scale_state_.tensor.part(loss_scale_value, {1})};
  }
}

void Sgd::lay_out() {
  int64_t total = 0;
  for (const NamedParameter& p : parameters_) {
    offsets_.push_back(total);
    total += in_lines(p.parameter->value.tensor.size());
  }
  offsets_.push_back(total);
  const DType type = parameters_[0].parameter->value.tensor.type;
  const int64_t sets = has_two_gradients() ? 2 : 1;
  mixed_ = layout_of(parameters_, offsets_);
  values_ = device_.persistent({total}, type);
  gradients_ = device_.persistent({std::max<int64_t>(sets * (total - mixed_.narrow), 1)}, type);
  momentum_ = device_.persistent({sets * total}, type);
  if (mixed_.narrow > 0) {
    const DType narrow = image_type(device_.precision());
    rounded_ = device_.persistent({mixed_.place(mixed_.narrow)}, narrow);
    rounded_gradients_ = device_.persistent({mixed_.place(mixed_.narrow)}, narrow);
    mixed_.w = values_;
    mixed_.v = momentum_;
    mixed_.g = {gradients_.tensor.data, {total - mixed_.narrow}, type};
    mixed_.rounded = rounded_;
    mixed_.rounded_g = rounded_gradients_;
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& p = *parameters_[i].parameter;
    const Shape shape = p.value.tensor.shape;
    const Array value = part_of(values_, offsets_[i], shape);
    device_.backend().copy(p.value, value);
    p.value = value;
    if (parameters_[i].narrow) {
      p.rounded = part_of(rounded_, mixed_.place(offsets_[i]), narrow_shape(parameters_[i]));
      p.grad = part_of(rounded_gradients_, mixed_.place(offsets_[i]), narrow_shape(parameters_[i]));
    } else {
      p.grad = part_of(gradients_, offsets_[i] - mixed_.narrow, shape);
    }
  }
  values_changed();
}

void Sgd::values_changed() {
  if (mixed_.narrow > 0) round_values(device_, mixed_);
}

void Sgd::use_gradients(bool of_teacher) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& grad = parameters_[i].parameter->grad.tensor;
    grad = gradients_.tensor.part(offsets_[i] + (of_teacher ? offsets_.back() : 0), grad.shape);
  }
}

void Sgd::begin_second_gradient() {
  check(has_two_gradients(), "Sgd: a second gradient was not expected");
  labels_reached_.clear();  // of a part of the batch before this one
  for (const NamedParameter& p : parameters_) {
    labels_reached_.push_back(p.parameter->received);
    // From where the parts' gradients are gathered, which need not be where step() reads them.
    Tensor& grad = p.parameter->grad.tensor;
    grad.data = static_cast<char*>(grad.data) + size_t(offsets_.back()) * size_of(grad.type);
  }
}

// A part of all parameters, by one of two gradients where there are two.
void Sgd::update(int64_t first, int64_t count, bool of_teacher, double momentum, double weight_decay) {
  const auto part = [&](const Array& flat, int64_t at) { return flat.tensor.part(at, {count}); };
  const int64_t second = first + (of_teacher ? offsets_.back() : 0);
  const Tensor w = part(values_, first), g = part(gradients_, second), v = part(momentum_, second);
  if (options_.nesterov)
    nesterov(w, g, v, weight_decay);
  else if (loss_scale())
    device_.backend().scaled_sgd(w, g, v, rate_.value, momentum, weight_decay, loss_scale_state_);
  else
    device_.backend().sgd(w, g, v, rate_.value, momentum, weight_decay);
}

void Sgd::step_of_two() {
  const bool two = !labels_reached_.empty();  // there were two passes; a step without any is as the last one
  if (!knows_first_step_) {  // once in a process, before a step is captured: it may go on from a checkpoint
    double begun = 0;
    device_.backend().download(&begun, begun_);
    first_step_ = begun == 0;
    knows_first_step_ = true;
  }
  std::vector<Reached> reached;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const bool last = parameters_[i].parameter->received;
    const bool labels = two ? bool(labels_reached_[i]) : last, teacher = two && last;
    reached.push_back({labels || (parameters_[i].parameter->idle && !teacher), teacher});
    check(reached[i].labels || reached[i].teacher, "Sgd::step: parameter ", parameters_[i].name,
          " received no gradient; does the loss use it?");
  }
  use_gradients(false);
  if (loss_scale()) device_.backend().update_loss_scale(gradients_, {}, loss_scale_state_);
  const double m = options_.momentum, delta = *options_.dot_delta;
  for (size_t i = 0, end = 0; i < parameters_.size(); i = end) {
    const double decay = decay_of(i);
    for (end = i + 1; end < parameters_.size() && reached[end] == reached[i] && decay_of(end) == decay;)
      ++end;  // a run of the same kind
    const int64_t first = offsets_[i], count = offsets_[end] - first;
    if (reached[i].labels && reached[i].teacher) {
      update(first, count, false, m - delta, decay);
      update(first, count, true, m + delta, 0);
    } else if (reached[i].labels) {
      update(first, count, false, m, decay);
    } else {
      update(first, count, true, m, first_step_ ? 0 : decay);
    }
  }
  if (first_step_) device_.backend().fill(begun_, 1);
  first_step_ = false;
}

void Sgd::step() {
  if (has_two_gradients()) {
    step_of_two();
    return;
  }
  for (const NamedParameter& p : parameters_) {
    check(p.parameter->received || p.parameter->idle, "Sgd::step: parameter ", p.name,
          " received no gradient; does the loss use it?");
  }
  const bool mixed = mixed_.narrow > 0;
  if (loss_scale())
    device_.backend().update_loss_scale(mixed ? mixed_.g : gradients_.tensor, rounded_gradients_,
                                        loss_scale_state_);
  if (mixed)
    return device_.backend().mixed_sgd(mixed_, rate_.value, options_.momentum, options_.weight_decay,
                                       loss_scale() ? loss_scale_state_.tensor : Tensor{});
  for (size_t i = 0, end = 0; i < parameters_.size(); i = end) {
    while (end < parameters_.size() && decay_of(end) == decay_of(i)) ++end;
    update(offsets_[i], offsets_[end] - offsets_[i], false, options_.momentum, decay_of(i));
  }
}

void Sgd::nesterov(const Tensor& w, const Tensor& g, const Tensor& v, double weight_decay) {
  with_real_type(w.type, "nesterov", [&]<class T>() {
    launch_rows(device_.backend(),
                NesterovRow<T>{w.as<T>(), g.as<T>(), v.as<T>(), rate_.value.as<double>(),
                               loss_scale() ? loss_scale_state_.tensor.as<double>() : nullptr, w.size(),
                               T(options_.momentum), T(weight_decay)},
                (w.size() + nesterov_row_length - 1) / nesterov_row_length);
  });
}

void Sgd::set_learning_rate(double rate) {
  if (rate == rate_now_) return;
  rate_now_ = rate;
  device_.set(rate_, rate);
}

std::vector<std::pair<std::string, Tensor>> Sgd::parts_of(const Tensor& flat) const {
  std::vector<std::pair<std::string, Tensor>> result;
  for (size_t i = 0; i < parameters_.size(); ++i)
    result.push_back(
        {parameters_[i].name, flat.part(offsets_[i], parameters_[i].parameter->value.tensor.shape)});
  return result;
}

std::vector<std::pair<std::string, Tensor>> Sgd::momenta() const {
  std::vector<std::pair<std::string, Tensor>> result;
  const auto parts = parts_of(momentum_);
  for (size_t i = 0; i < parts.size(); ++i) {
    result.push_back(parts[i]);
    if (!has_two_gradients()) continue;
    // The teacher's half begins where the parameters' end.
    const auto& [name, tensor] = parts[i];
    result.push_back({name + ".teacher", momentum_.tensor.part(offsets_.back() + offsets_[i], tensor.shape)});
  }
  if (has_two_gradients()) result.push_back({"dot_begun", begun_.tensor});
  if (loss_scale()) result.push_back({"loss_scale", loss_scale_state_.tensor});
  return result;
}

}  // namespace retort
