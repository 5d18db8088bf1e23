// TTM and WTTM: Zheng, Yang, "Knowledge Distillation Based on Transformed Teacher Matching", ICLR 2024,
// arXiv:2402.11148. Costs what kd costs.
// Cost: ttm +0.00 ms on kd, wttm +0.00 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/ttm_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

// beta mean KL(p_gamma || q): only the teacher's distribution is raised to a power (gamma = 1 / temperature)
// and normalised, the student's stays at temperature 1. wttm weighs each sample by the sum of p^gamma: what
// the smoothing of the teacher moves counts for more.
class TransformedTeacher : public Distiller {
 public:
  TransformedTeacher(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        weighted_(settings.method().name == "wttm"),
        gamma_(settings.number("gamma")),
        beta_(settings.number("beta")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const Var loss = row_loss(pass, "ttm", z.student, [&]<class T>(T* of_row, T* gradient, T row_weight) {
      return PowerKlRow<T>{.student = z.student.tensor().as<T>(),
                           .teacher = z.teacher.tensor().as<T>(),
                           .loss = of_row,
                           .gradient = gradient,
                           .n = z.student.shape()[1],
                           .weighted = weighted_,
                           .gamma = T(gamma_),
                           .weight = T(beta_) * row_weight};
    });
    return {{"ttm", loss}};
  }

 private:
  bool weighted_;
  double gamma_, beta_;
};

std::vector<MethodKey> keys_of(const std::string& gamma, const std::string& beta) {
  std::vector<MethodKey> keys = common_keys("1", "0");
  keys.push_back(
      {"gamma", MethodKey::number, gamma, "power of the teacher's probabilities, 1 / temperature", 0, true});
  keys.push_back({"beta", MethodKey::number, beta, "weight of the distillation term"});
  return keys;
}

}  // namespace

// The defaults are the two settings that the authors' code names: of vgg13-vgg8, and of wttm beside crd.
MethodInfo ttm_method() {
  return {"ttm", "Transformed Teacher Matching", "arXiv:2402.11148",
          {},    keys_of("0.1", "45"),           construct<TransformedTeacher>};
}

MethodInfo wttm_method() {
  return {"wttm",
          "Weighted Transformed Teacher Matching",
          "arXiv:2402.11148",
          {},
          keys_of("0.2", "4"),
          construct<TransformedTeacher>};
}

}  // namespace retort
