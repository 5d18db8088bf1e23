#include "distill/methods/ctkd.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "distill/methods/ctkd_row.h"
#include "distill/methods/distiller.h"
#include "engine/types.h"

namespace retort {

Var learned_temperature_kl(const Pass& pass, const Var& student, const Tensor& teacher, const Var& theta,
                           const Scalar& reversal, double weight) {
  const DType type = student.type();
  check(student.shape().rank() == 2 && teacher.shape == student.shape() && teacher.type == type &&
            theta.tensor().size() == 1 && theta.type() == type,
        "learned_temperature_kl: student ", student.shape(), " ", type, ", teacher ", teacher.shape,
        ", theta ", theta.shape(), " ", theta.type());
  const int64_t rows = student.shape()[0], n = student.shape()[1];
  const Var per_row = pass.make({rows}, type);
  const Var gradient = student.requires_grad() ? pass.make(student.shape(), type) : Var();
  const Var theta_gradient = theta.requires_grad() ? pass.make({rows}, type) : Var();
  with_real_type(type, "learned_temperature_kl", [&]<class T>() {
    launch_rows(pass.backend(),
                LearnedTemperatureKlRow<T>{
                    .student = student.tensor().as<T>(),
                    .teacher = teacher.as<T>(),
                    .theta = theta.tensor().as<T>(),
                    .loss = per_row.tensor().as<T>(),
                    .gradient = gradient ? gradient.tensor().as<T>() : nullptr,
                    .theta_gradient = theta_gradient ? theta_gradient.tensor().as<T>() : nullptr,
                    .n = n,
                    .weight = T(weight / double(rows))},
                rows);
  });
  Var loss = pass.make({1}, type);
  pass.backend().reduce_sum(per_row, 1.0, loss);
  pass.record("learned_temperature_kl", loss, {student, theta},
              [gradient, theta_gradient, reversal](const Tensor& dy, Grads& g) {
                if (g.wants(0)) g.backend().binary(Binary::mul, gradient, dy, g.sink(0));
                if (g.wants(1)) {
                  const Array sum = g.scratch(dy.shape, dy.type), of_loss = g.scratch(dy.shape, dy.type);
                  g.backend().reduce_sum(theta_gradient, 1.0, sum);
                  g.backend().binary(Binary::mul, sum, dy, of_loss);
                  g.backend().scale_by(of_loss, reversal.value, 1.0, g.sink(1));
                }
              });
  return loss;
}

namespace {

// The factor of theta's gradient (equation 7): it falls from 0 to -1 over the curriculum's epochs. Negative:
// theta climbs the loss that the student descends.
double reversal_at(int epoch, double curriculum) {
  return (std::cos(std::numbers::pi * std::min(epoch / curriculum, 1.0)) - 1) / 2;
}

class Ctkd : public Distiller {
 public:
  Ctkd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        curriculum_(settings.number("curriculum")),
        start_(settings.number("theta")),
        theta_(device, {1}, context.type, start_),
        reversal_(device.scalar(reversal_at(1, curriculum_))) {}

  void begin_epoch(int epoch) override {
    Distiller::begin_epoch(epoch);
    device().set(reversal_, reversal_at(epoch, curriculum_));
  }

  void visit(Visitor& visitor) override { visitor.parameter("theta", theta_, {Init::constant, start_}); }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"kd",
             learned_temperature_kl(pass, z.student, z.teacher, pass.parameter(theta_), reversal_, alpha_)}};
  }

 private:
  double alpha_, curriculum_, start_;
  Parameter theta_;
  Scalar reversal_;
};

}  // namespace

MethodInfo ctkd_method() {
  std::vector<MethodKey> keys = common_keys("0.1", "0");
  keys.push_back({"alpha", MethodKey::number, "0.9", "weight of the distillation term"});
  keys.push_back(
      {"theta", MethodKey::number, "1", "start of the learned temperature 1 + 20 sigmoid(theta)", -100});
  keys.push_back(
      {"curriculum", MethodKey::number, "10", "epochs until theta climbs with its full gradient", 0, true});
  return {"ctkd",         "Curriculum Temperature for Knowledge Distillation", "arXiv:2211.16231", {}, keys,
          construct<Ctkd>};
}

}  // namespace retort
