// NKD: Yang, Zeng, Li, Zhang, Yuan, Li, "From Knowledge Distillation to Self-Knowledge Distillation: A
// Unified Approach with Normalized Loss and Customized Soft Labels", arXiv:2303.13005.
// Cost: +0.06 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/target_split.h"

namespace retort {

namespace {

// Target: -mean p_y log q_y at temperature 1. Non-target: -gamma tau^2 mean sum over the other classes of p
// log q, both softmaxes taken over those classes only (equation 5). Cross-entropies, so not 0 where the two
// agree.
class Nkd : public Distiller {
 public:
  Nkd(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), tau_(settings.number("temperature")), gamma_(settings.number("gamma")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"target", target_cross_entropy(pass, z.student, z.teacher, inputs.labels)},
            {"non-target", subset_kl(pass, z.student, z.teacher, inputs.labels, Subset::not_label, tau_,
                                     gamma_ * tau_ * tau_, true)}};
  }

 private:
  double tau_, gamma_;
};

}  // namespace

// The defaults are the authors' code's; their own CIFAR-100 file has gamma 3.5, temperature 3.
MethodInfo nkd_method() {
  std::vector<MethodKey> keys = common_keys("1", "0");
  keys.push_back(temperature_key("1"));
  keys.push_back({"gamma", MethodKey::number, "1.5", "weight of the term of the other classes"});
  return {"nkd",         "Normalized Knowledge Distillation", "arXiv:2303.13005", {.labels = true}, keys,
          construct<Nkd>};
}

}  // namespace retort
