// Label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for
// Computer Vision", arXiv:1512.00567, section 7, as a method of the student alone. Adds nothing to a step
// that can be measured.
// Cost: -0.01 ms on ce (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/two_level_target.h"

namespace retort {

namespace {

// Cross-entropy with 1 - a on the labelled class and a / (C - 1) on every other. PyTorch's label_smoothing e
// spreads over all classes, the labelled one too: a = e (C - 1) / C.
class LabelSmoothing : public Distiller {
 public:
  LabelSmoothing(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        weight_(settings.number("ce_weight")),
        smoothing_(settings.number("smoothing")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var& z = inputs.logits.student;
    const int64_t classes = z.shape()[1];
    TwoLevelTarget target;
    if (classes > 1) target = {.on = 1 - smoothing_, .off = smoothing_ / double(classes - 1)};
    return {{"ce", two_level_loss(pass, "label_smoothing", z, inputs.labels, target, false, weight_)}};
  }

 private:
  double weight_, smoothing_;
};

}  // namespace

MethodInfo label_smoothing_method() {
  return {
      "ls-ce",
      "The student alone: cross-entropy with smoothed labels",
      "arXiv:1512.00567",
      {.teacher = false, .labels = true},
      {{"ce_weight", MethodKey::number, "1", "weight of the cross-entropy with the smoothed labels", 0, true},
       share_key("smoothing", "0.1",
                 "a: the labelled class's target is 1 - a, a / (C - 1) each other's; PyTorch's e is a C / (C "
                 "- 1)")},
      construct<LabelSmoothing>};
}

}  // namespace retort
