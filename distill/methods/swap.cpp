// SWAP, or LA (logit adjustment): Wen, Lai, Qian, "Preparing Lessons: Improve Knowledge Distillation with
// Better Supervision", arXiv:1911.07471, as later comparisons train it: without cross-entropy. Costs what kd
// costs.
// Cost: -0.01 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/edited_kl.h"

namespace retort {

namespace {

// alpha tau^2 mean KL(p' || q): p' is the teacher's distribution after its largest logit and the labelled
// class's have changed places, so that it is never wrong.
class Swap : public Distiller {
 public:
  Swap(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), tau_(settings.number("temperature")), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"swap", edited_kl(pass, z.student, z.teacher, inputs.labels, TargetEdit::swap_with_largest, tau_,
                               alpha_ * tau_ * tau_)}};
  }

 private:
  double tau_, alpha_;
};

}  // namespace

MethodInfo swap_method() {
  std::vector<MethodKey> keys = common_keys("0", "0");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the distillation term"});
  return {"swap",
          "Logit Adjustment: largest and labelled logit swapped",
          "arXiv:1911.07471",
          {.labels = true},
          keys,
          construct<Swap>};
}

}  // namespace retort
