// Tf-KD_reg: Yuan, Tay, Li, Wang, Feng, "Revisiting Knowledge Distillation via Label Smoothing
// Regularization", arXiv:1909.11723, section 4: distillation from a teacher that is written down, not
// trained. Adds nothing to a step that can be measured.
// Cost: +0.02 ms on ce (README.md).
#include <algorithm>
#include <cmath>

#include "distill/methods/distiller.h"
#include "distill/methods/two_level_target.h"

namespace retort {

namespace {

constexpr double virtual_teachers_accuracy = 0.99;

// (1 - alpha) CE + alpha multiplier KL(t || q) / C: t = softmax(u / T), u = 0.99 on the labelled class and
// 0.01 / (C - 1) on every other, q at temperature 1. The authors' code takes the mean over samples and
// classes.
class TeacherFree : public Distiller {
 public:
  TeacherFree(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        temperature_(settings.number("temperature")),
        multiplier_(settings.number("multiplier")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var& z = inputs.logits.student;
    const auto classes = double(z.shape()[1]);
    std::vector<LossTerm> terms;
    if (alpha_ < 1) terms.push_back({"ce", weighted(pass, label_loss(z, inputs.labels, pass), 1 - alpha_)});
    terms.push_back({"tfkd", two_level_loss(pass, "tfkd", z, inputs.labels, target(classes), true,
                                            alpha_ * multiplier_ / classes)});
    return terms;
  }

 private:
  TwoLevelTarget target(double classes) const {
    if (classes < 2) return {};
    const double wrong = (1 - virtual_teachers_accuracy) / (classes - 1);
    const double gap = (virtual_teachers_accuracy - wrong) / temperature_;
    TwoLevelTarget t;
    t.log_on = -std::log1p((classes - 1) * std::exp(-gap));
    t.log_off = t.log_on - gap;
    t.on = std::exp(t.log_on);
    t.off = std::exp(t.log_off);
    return t;
  }

  double alpha_, temperature_, multiplier_;
};

}  // namespace

// The defaults are those that the authors give ResNet18; MobileNetV2 and ShuffleNetV2 have others.
MethodInfo teacher_free_method() {
  return {"tfkd-reg",
          "Teacher-free Knowledge Distillation, by regularisation",
          "arXiv:1909.11723",
          {.teacher = false, .labels = true},
          {share_key("alpha", "0.1", "weight of the term; the cross-entropy has the rest of 1"),
           {.name = "temperature",
            .kind = MethodKey::number,
            .fallback = "20",
            .help = "of the virtual teacher; the student's is 1",
            .minimum = 1e-3},
           {"multiplier", MethodKey::number, "100", "of the term, besides alpha"}},
          construct<TeacherFree>};
}

}  // namespace retort
