// LDRLD: Xu, Liu, Liu, Wang, Xu, Cheng, "Local Dense Logit Relations for Enhanced Knowledge Distillation",
// ICCV 2025, arXiv:2507.15911. Costs what dkd costs and two rankings.
// Cost: +0.17 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/ldrld_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

// alpha times the relations between the student's k best classes, two by two and all together, and beta times
// the divergence over the other classes. The student's own ranking chooses: what it confuses is what it is
// taught.
class Ldrld : public Distiller {
 public:
  Ldrld(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        alpha_(settings.number("alpha")),
        beta_(settings.number("beta")),
        k_(settings.integer("k")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const auto term = [&](double local, double rest) {
      return row_loss(pass, "ldrld", z.student, [&]<class T>(T* loss, T* gradient, T row_weight) {
        return LocalRelationsRow<T>{.student = z.student.tensor().as<T>(),
                                    .teacher = z.teacher.tensor().as<T>(),
                                    .loss = loss,
                                    .gradient = gradient,
                                    .n = z.student.shape()[1],
                                    .k = k_,
                                    .inverse_temperature = T(1 / tau_),
                                    .local = T(local * tau_ * tau_) * row_weight,
                                    .rest = T(rest * tau_ * tau_) * row_weight};
      });
    };
    return {{"local", term(alpha_, 0)}, {"rest", term(0, beta_)}};
  }

 private:
  double tau_, alpha_, beta_;
  int64_t k_;
};

}  // namespace

// The weights are those of resnet32x4-resnet8x4; no others are known.
MethodInfo ldrld_method() {
  std::vector<MethodKey> keys = common_keys("1", "0");
  for (MethodKey& key : keys) {
    if (key.name == "warmup") key.help += "; the authors' release has lr rise instead: schedule.ramp";
  }
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "10.5",
                  "weight of the relations between the student's k largest classes"});
  keys.push_back({"beta", MethodKey::number, "7", "weight of the term of the other classes"});
  keys.push_back({"k", MethodKey::integer, "7", "how many of the student's largest classes are related", 1});
  return {"ldrld",         "Local Dense Relational Logit Distillation", "arXiv:2507.15911", {}, keys,
          construct<Ldrld>};
}

}  // namespace retort
