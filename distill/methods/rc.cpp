// RC: the distribution of the student itself, corrected, as a second teacher; what the comparisons of
// "Knowledge Distillation with Refined Logits" (arXiv:2408.07703) call RC, by its code. Costs what kd costs,
// twice.
// Cost: +0.02 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/edited_kl.h"

namespace retort {

namespace {

// tau^2 mean [alpha KL(p || q) + beta KL(p' || q)]: p' is the student's own distribution, a constant, after
// its largest logit has been added to the labelled class's.
class SelfCorrected : public Distiller {
 public:
  SelfCorrected(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        alpha_(settings.number("alpha")),
        beta_(settings.number("beta")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"kd", kl_divergence(pass, z.student, z.teacher, tau_, alpha_ * tau_ * tau_)},
            {"self", edited_kl(pass, z.student, z.student.tensor(), inputs.labels,
                               TargetEdit::raise_by_largest, tau_, beta_ * tau_ * tau_)}};
  }

 private:
  double tau_, alpha_, beta_;
};

}  // namespace

MethodInfo rc_method() {
  std::vector<MethodKey> keys = common_keys("1", "0");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the divergence from the teacher"});
  keys.push_back({"beta", MethodKey::number, "0.1", "weight of the divergence from the corrected student"});
  return {
      "rc", "Refined correction by the student itself", "", {.labels = true}, keys, construct<SelfCorrected>};
}

}  // namespace retort
