#include "distill/train/weight_average.h"

namespace retort {

WeightAverage::WeightAverage(Device& device, Sgd& optimizer, double decay)
    : device_(device), optimizer_(optimizer), decay_(decay) {
  if (!kept()) return;
  const Tensor& values = optimizer.values();
  average_ = device.persistent(values.shape, values.type);
  aside_ = device.persistent(values.shape, values.type);
  device.backend().copy(values, average_);
}

// The first step is never captured (see StepGraph), so that a replayed one is one of the others.
void WeightAverage::step() {
  if (!kept()) return;
  Backend& backend = device_.backend();
  if (is_first_) return backend.copy(optimizer_.values(), average_);
  backend.unary({Unary::affine, decay_, 0}, average_, average_);
  backend.unary({Unary::affine, 1 - decay_, 0}, optimizer_.values(),
                Sink(average_.tensor, Write::accumulate));
}

void WeightAverage::exchange() {
  if (!kept()) return;
  Backend& backend = device_.backend();
  backend.copy(optimizer_.values(), aside_);
  backend.copy(average_, optimizer_.values());
  backend.copy(aside_, average_);
  optimizer_.values_changed();
}

std::vector<std::pair<std::string, Tensor>> WeightAverage::tensors() const {
  if (!kept()) return {};
  auto parts = optimizer_.parts_of(average_);
  for (auto& [name, tensor] : parts) name = "other." + name;
  return parts;
}

std::vector<std::pair<std::string, Tensor>> optimizer_state(const Sgd& optimizer,
                                                            const WeightAverage* average) {
  auto all = optimizer.momenta();
  if (!average) return all;
  for (auto& part : average->tensors()) all.push_back(std::move(part));
  return all;
}

}  // namespace retort
