// LR, label revision: Lan, Cheung, Jiang, "Improve Knowledge Distillation via Label Revision and Data
// Selection", arXiv:2404.03693, as the code of arXiv:2408.07703 trains it. Costs what kd costs.
// Cost: +0.01 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/revision_row.h"
#include "engine/ops/row_loss.h"
#include "engine/types.h"

namespace retort {

namespace {

// Where the teacher is right: cross-entropy, and alpha times the mean squared difference of the logits. Where
// it is wrong: beta times the mean squared difference of the student's probabilities and the teacher's, which
// are mixed with the label until that one is largest. Each is a mean over its own samples, 0 where there are
// none.
class Revision : public Distiller {
 public:
  Revision(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        beta_(settings.number("beta")),
        lambda_(settings.number("lambda")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits& z = inputs.logits;
    const DType type = z.student.type();
    const int64_t rows = z.student.shape()[0], n = z.student.shape()[1];
    const Var right = pass.make({rows}, type), count = pass.make({1}, type);
    with_real_type(type, "revision", [&]<class T>() {
      launch_rows(pass.backend(),
                  TeacherIsRightRow<T>{z.teacher.tensor().as<T>(), inputs.labels.tensor().as<int32_t>(),
                                       right.tensor().as<T>(), n},
                  rows);
    });
    pass.backend().reduce_sum(right, 1.0, count);
    const auto part = [&](int which, double weight) {
      return row_loss(pass, "revision", z.student, [&]<class T>(T* loss, T* gradient, T) {
        return RevisionRow<T>{.student = z.student.tensor().as<T>(),
                              .teacher = z.teacher.tensor().as<T>(),
                              .labels = inputs.labels.tensor().as<int32_t>(),
                              .right = right.tensor().as<T>(),
                              .count = count.tensor().as<T>(),
                              .loss = loss,
                              .gradient = gradient,
                              .n = n,
                              .rows = rows,
                              .part = typename RevisionRow<T>::Part(which),
                              .lambda = T(lambda_),
                              .weight = T(weight)};
      });
    };
    return {{"right-ce", part(0, 1)}, {"right-logits", part(1, alpha_)}, {"revised", part(2, beta_)}};
  }

 private:
  double alpha_, beta_, lambda_;
};

}  // namespace

MethodInfo revision_method() {
  std::vector<MethodKey> keys = weight_keys("0", "0");
  keys.push_back(
      {"alpha", MethodKey::number, "4", "weight of the logits' difference where the teacher is right"});
  keys.push_back({"beta", MethodKey::number, "1", "weight of the revised distribution where it is wrong"});
  keys.push_back(share_key("lambda", "0.8", "share of the teacher in the revised distribution, at most"));
  return {"revision", "Label Revision",   "arXiv:2404.03693", {.labels = true, .batch = true},
          keys,       construct<Revision>};
}

}  // namespace retort
