// RLD: Sun, Chen, Lyu, Chen, Chen, Wang, "Knowledge Distillation with Refined Logits", arXiv:2408.07703.
// Cost: +0.02 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/target_split.h"

namespace retort {

namespace {

// What the teacher knows, without its mistakes. SCD (sample confidence): how sure the teacher is of its best
// class is set against how sure the student is of the true one. MCD (masked correlation): the distribution
// over the classes that the teacher ranks below the true one.
class Rld : public Distiller {
 public:
  Rld(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        tau_a_(settings.number("temperature_a")),
        alpha_(settings.number("alpha")),
        beta_(settings.number("beta")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"scd", binary_kl(pass, z.student, z.teacher, inputs.labels, TeacherClass::largest, tau_a_,
                              alpha_ * tau_a_ * tau_a_)},
            {"mcd", subset_kl(pass, z.student, z.teacher, inputs.labels, Subset::below_label, tau_,
                              beta_ * tau_ * tau_)}};
  }
  bool fuse(const DistillInputs& inputs, FusedRows& rows) override {
    launch_target_split({"scd", "mcd", TeacherClass::largest, Subset::below_label, tau_a_,
                         alpha_ * tau_a_ * tau_a_, tau_, beta_ * tau_ * tau_},
                        inputs.logits.student, inputs.logits.teacher, inputs.labels, rows);
    return true;
  }

 private:
  double tau_, tau_a_, alpha_, beta_;
};

}  // namespace

// temperature_a is 1 in the authors' defaults and the temperature itself with their --same-t; which of them
// made their table is not known.
MethodInfo rld_method() {
  std::vector<MethodKey> keys = common_keys("1", "20");
  keys.push_back(temperature_key("4"));
  keys.push_back(
      {"temperature_a", MethodKey::number, "1", "temperature of the sample confidence term", 0, true});
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the sample confidence term"});
  keys.push_back({"beta", MethodKey::number, "8", "weight of the masked correlation term"});
  return {"rld", "Refined Logit Distillation", "arXiv:2408.07703", {.labels = true}, keys, construct<Rld>};
}

}  // namespace retort
