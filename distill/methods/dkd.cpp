// DKD: Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", arXiv:2203.08679.
// Cost: +0.02 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/target_split.h"

namespace retort {

namespace {

// tau^2 mean [alpha TCKD + beta NCKD] (equation 7): TCKD compares how sure both are of the true class,
// NCKD how they distribute the rest over the other classes.
class Dkd : public Distiller {
 public:
  Dkd(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        alpha_(settings.number("alpha")),
        beta_(settings.number("beta")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const double scale = tau_ * tau_;
    return {{"tckd",
             binary_kl(pass, z.student, z.teacher, inputs.labels, TeacherClass::label, tau_, alpha_ * scale)},
            {"nckd",
             subset_kl(pass, z.student, z.teacher, inputs.labels, Subset::not_label, tau_, beta_ * scale)}};
  }
  bool fuse(const DistillInputs& inputs, FusedRows& rows) override {
    const double scale = tau_ * tau_;
    launch_target_split(
        {"tckd", "nckd", TeacherClass::label, Subset::not_label, tau_, alpha_ * scale, tau_, beta_ * scale},
        inputs.logits.student, inputs.logits.teacher, inputs.labels, rows);
    return true;
  }

 private:
  double tau_, alpha_, beta_;
};

}  // namespace

MethodInfo dkd_method() {
  std::vector<MethodKey> keys = common_keys("1", "20");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the target class term"});
  keys.push_back({"beta", MethodKey::number, "8", "weight of the term of the other classes"});
  return {"dkd",         "Decoupled Knowledge Distillation", "arXiv:2203.08679", {.labels = true}, keys,
          construct<Dkd>};
}

}  // namespace retort
