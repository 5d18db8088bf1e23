// Stochastic gradient descent with momentum and weight decay, over one flat arena.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/autograd.h"
#include "engine/optim/named_parameter.h"

namespace retort {

struct SgdOptions {
  double learning_rate = 0.05;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  bool norm_decay = true;     // also of norms' scales and shifts
  bool loss_scaling = false;  // dynamic, see kernels/loss_scale.h: for gradients in f16
  bool nesterov = false;
  // Two gradients, of the labels' loss and of the teacher's, each with a momentum of its own: Zhao, Cui,
  // Song, Liang, "DOT: A Distillation-Oriented Trainer", ICCV 2023, arXiv:2307.08436. The labels' is momentum
  // - delta and has the weight decay, the teacher's momentum + delta and has none. A parameter that only one
  // of them reaches has momentum and decay as set, but if it is the teacher's no decay in the first step.
  std::optional<double> dot_delta = {};
};

// torch.optim.SGD without dampening. The parameters' values and gradients are moved into flat tensors, so
// that a step is one kernel: in the order given, but narrow ones first, and before them the one that is
// padded. Those of norms come first where they have no weight decay, and are a kernel of their own.
class Sgd {
 public:
  Sgd(Device& device, const std::vector<NamedParameter>& parameters, const SgdOptions& options);

  void set_learning_rate(double rate);
  // With dot_delta: the gradients of the next backward pass are the teacher's. To be called between the two.
  void begin_second_gradient();
  bool has_two_gradients() const { return options_.dot_delta.has_value(); }

  // One step over all parameters; throws naming the first that got no gradient in the last backward pass.
  void step();

  // To be called when something else than step() has written the parameters' values (a checkpoint was read).
  void values_changed();

  // What the loss has to be multiplied by before backward (see Tape::backward); null without loss scaling.
  const Scalar* loss_scale() const { return loss_scale_.value ? &loss_scale_ : nullptr; }

  // Optimizer state, for checkpoints: one momentum tensor for each parameter, shaped as it is, and with loss
  // scaling its state as "loss_scale". With two gradients also NAME.teacher and "dot_begun".
  std::vector<std::pair<std::string, Tensor>> momenta() const;
  const Tensor& values() const { return values_; }
  // As they lie there.
  const std::vector<NamedParameter>& parameters() const { return parameters_; }
  // Each parameter's part of a tensor that is laid out as values() is.
  std::vector<std::pair<std::string, Tensor>> parts_of(const Tensor& flat) const;

 private:
  void lay_out();
  void nesterov(const Tensor& w, const Tensor& g, const Tensor& v, double weight_decay);
  double decay_of(size_t i) const {
    return parameters_[i].norm && !options_.norm_decay ? 0 : options_.weight_decay;
  }
  // Which of two gradients reached a parameter.
  struct Reached {
    bool labels = false, teacher = false;
    bool operator==(const Reached&) const = default;
  };
  void step_of_two();
  void update(int64_t first, int64_t count, bool of_teacher, double momentum, double weight_decay);
  void use_gradients(bool of_teacher);

  Device& device_;
  SgdOptions options_;
  std::vector<NamedParameter> parameters_;
  std::vector<int64_t> offsets_;         // of the parameters in values_, and its end
  std::vector<bool> labels_reached_;     // in the first of two passes
  // The latter two are twice as long with two gradients; gradients in f32, of those that are not narrow.
  Array values_, gradients_, momentum_;
  Array rounded_, rounded_gradients_;    // of narrow parameters
  MixedWeights mixed_;                   // all of these where there are some
  Array begun_;                          // f64: 1 once a step was made
  bool first_step_ = true, knows_first_step_ = false;
  Scalar rate_;
  double rate_now_;
  Array loss_scale_state_;
  Scalar loss_scale_;
};

}  // namespace retort
