// Stochastic gradient descent with momentum and weight decay, over one flat arena.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "engine/autograd.h"

namespace retort {

struct NamedParameter {
  std::string name;
  Parameter* parameter;
};

struct SgdOptions {
  double learning_rate = 0.05;
  double momentum = 0.9;
  double weight_decay = 5e-4;
};

// torch.optim.SGD without Nesterov and dampening; weight decay on every parameter. The parameters' values and
// gradients are moved, in the order given, into two flat tensors, so that a step is one kernel.
class Sgd {
 public:
  Sgd(Device& device, const std::vector<NamedParameter>& parameters, const SgdOptions& options);

  void set_learning_rate(double rate) { device_.set(rate_, rate); }
  // One step over all parameters; throws naming the first that got no gradient in the last backward pass.
  void step();

  // Optimizer state, for checkpoints: one momentum tensor for each parameter, shaped as it is.
  std::vector<std::pair<std::string, Tensor>> momenta() const;
  const Tensor& values() const { return values_; }

 private:
  Device& device_;
  SgdOptions options_;
  std::vector<NamedParameter> parameters_;
  Array values_, gradients_, momentum_;
  Scalar rate_;
};

// Learning rate of an epoch counted from 1: base * factor^(number of milestones below the epoch).
struct MultiStepSchedule {
  double base = 0.05;
  std::vector<int> milestones = {150, 180, 210};
  double factor = 0.1;

  double at(int epoch) const;
};

}  // namespace retort
