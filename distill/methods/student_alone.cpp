// ce: the student alone, trained with the labels only; what distillation is compared with.
#include "distill/methods/distiller.h"

namespace retort {

namespace {

// Here the cross-entropy is the method's own term.
class StudentAlone : public Distiller {
 public:
  StudentAlone(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), weight_(settings.number("ce_weight")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    return {{"ce", weighted(pass, label_loss(inputs.logits.student, inputs.labels, pass), weight_)}};
  }
  bool fuse(const DistillInputs&, FusedRows& rows) override {
    if (weight_ == 0) return false;
    rows.set_ce_weight(weight_);
    rows.launch({}, NoTerm<float>{});
    return true;
  }

 private:
  double weight_;
};

}  // namespace

MethodInfo student_alone_method() {
  return {"ce",
          "The student alone: cross-entropy with the labels",
          "",
          {.teacher = false, .labels = true},
          {{"ce_weight", MethodKey::number, "1", "weight of the cross-entropy with the labels", 0, true}},
          construct<StudentAlone>};
}

}  // namespace retort
