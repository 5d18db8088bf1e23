// KD: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531.
// Cost: +229.16 ms on ce (README.md).
#include "distill/methods/distiller.h"

namespace retort {

namespace {

// alpha tau^2 mean KL(p || q), p = softmax(teacher / tau), q = softmax(student / tau). The factor tau^2 keeps
// the gradient's size as tau grows (section 2 of the paper).
class Kd : public Distiller {
 public:
  Kd(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), tau_(settings.number("temperature")), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"kd", kl_divergence(pass, z.student, z.teacher, tau_, alpha_ * tau_ * tau_)}};
  }
  bool fuse(const DistillInputs& inputs, FusedRows& rows) override {
    rows.launch({"kd"}, KlRow<float>{.student = inputs.logits.student.tensor().as<float>(),
                                     .teacher = inputs.logits.teacher.tensor().as<float>(),
                                     .loss = nullptr,
                                     .gradient = nullptr,
                                     .n = rows.classes(),
                                     .inverse_temperature = float(1 / tau_),
                                     .weight = float(alpha_ * tau_ * tau_) * rows.row_weight()});
    return true;
  }

 private:
  double tau_, alpha_;
};

}  // namespace

MethodInfo kd_method() {
  std::vector<MethodKey> keys = common_keys("0.1", "0");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "0.9", "weight of the distillation term"});
  return {"kd", "Knowledge Distillation", "arXiv:1503.02531", {}, keys, construct<Kd>};
}

}  // namespace retort
