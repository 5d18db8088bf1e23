// CRLD: Zhang, Liu, Cai, Ma, "Cross-View Consistency Regularisation for Knowledge Distillation", ACM MM 2024,
// arXiv:2412.16493. By a copy of its code: the authors' repository could not be read. Costs what two views
// cost.
// Cost: +428.69 ms on kd (README.md).
#include "distill/methods/crld_row.h"
#include "distill/methods/distiller.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

// mean [alpha [m_w >= threshold](K(w, w) + K(s, s)) + beta [m_s >= strong_threshold](K(w, s) + K(s, w))]:
// K(t, s) = tau^2 KL(teacher on view t || student on view s), w the weak and s the strong view, m the
// teacher's largest probability on that view at temperature 1.
class Crld : public Distiller {
 public:
  Crld(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        alpha_(settings.number("alpha")),
        beta_(settings.number("beta")),
        threshold_(settings.number("threshold")),
        strong_threshold_(settings.number("strong_threshold")) {
    views_read(settings);  // 2, the key's minimum and the most there are
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    check(bool(inputs.strong.student), "crld reads two views of the images, but was given one");
    const Logits weak = prepared(inputs.logits, pass), strong = prepared(inputs.strong, pass);
    const auto k = [&](const Var& student, const Var& teacher, const Var& gate, double threshold,
                       double weight) {
      return row_loss(pass, "gated_kl", student, [&]<class T>(T* loss, T* gradient, T row_weight) {
        return GatedKlRow<T>{.student = student.tensor().as<T>(),
                             .teacher = teacher.tensor().as<T>(),
                             .gate = gate.tensor().as<T>(),
                             .loss = loss,
                             .gradient = gradient,
                             .n = student.shape()[1],
                             .threshold = T(threshold),
                             .inverse_temperature = T(1 / tau_),
                             .weight = T(weight * tau_ * tau_) * row_weight};
      });
    };
    const Var &on_weak = inputs.logits.teacher, &on_strong = inputs.strong.teacher;
    const Var within = add(pass, k(weak.student, weak.teacher, on_weak, threshold_, alpha_),
                           k(strong.student, strong.teacher, on_weak, threshold_, alpha_));
    const Var across = add(pass, k(strong.student, weak.teacher, on_strong, strong_threshold_, beta_),
                           k(weak.student, strong.teacher, on_strong, strong_threshold_, beta_));
    return {{"within", within}, {"across", across}};
  }

 private:
  double tau_, alpha_, beta_, threshold_, strong_threshold_;
};

}  // namespace

MethodInfo crld_method() {
  std::vector<MethodKey> keys = common_keys("1", "0");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "2", "weight of the terms within a view"});
  keys.push_back({"beta", MethodKey::number, "0.5", "weight of the terms across the views"});
  keys.push_back(share_key("threshold", "0.9", "within: how sure the teacher must be on the weak view"));
  keys.push_back(share_key("strong_threshold", "0.2", "across: the same on the strong view"));
  keys.push_back({"views", MethodKey::integer, "2", "of each image: 2, the second strongly augmented", 2});
  return {
      "crld",         "Cross-View Consistency Regularisation", "arXiv:2412.16493", {.two_views = true}, keys,
      construct<Crld>};
}

}  // namespace retort
