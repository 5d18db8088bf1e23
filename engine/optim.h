// Stochastic gradient descent with momentum and weight decay, over one flat arena.
#pragma once
#include <cstdint>
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
  bool loss_scaling = false;  // dynamic, see kernels/loss_scale.h: for gradients in f16
  bool nesterov = false;
};

// torch.optim.SGD without dampening; weight decay on every parameter. The parameters' values and gradients
// are moved, in the order given, into two flat tensors, so that a step is one kernel.
class Sgd {
 public:
  Sgd(Device& device, const std::vector<NamedParameter>& parameters, const SgdOptions& options);

  void set_learning_rate(double rate);
  // One step over all parameters; throws naming the first that got no gradient in the last backward pass.
  void step();

  // What the loss has to be multiplied by before the backward pass (see Tape::backward); null without loss
  // scaling.
  const Scalar* loss_scale() const { return loss_scale_.value ? &loss_scale_ : nullptr; }

  // Optimizer state, for checkpoints: one momentum tensor for each parameter, shaped as it is, and with loss
  // scaling its state as "loss_scale".
  std::vector<std::pair<std::string, Tensor>> momenta() const;
  const Tensor& values() const { return values_; }
  // Each parameter's part of a tensor that is laid out as values() is.
  std::vector<std::pair<std::string, Tensor>> parts_of(const Tensor& flat) const;

 private:
  void nesterov_step();

  Device& device_;
  SgdOptions options_;
  std::vector<NamedParameter> parameters_;
  Array values_, gradients_, momentum_;
  Scalar rate_;
  double rate_now_;
  Array loss_scale_state_;
  Scalar loss_scale_;
};

}  // namespace retort
