// pcd-released: what the code released with Progressive Class-level Distillation (arXiv:2505.24310) computes,
// which is not the loss of the paper (pcd.h). There is no ranking in it, and its blocks are always all
// classes or none.
// Cost: +0.01 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/log_cosine_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

// 2 weight S tau^2 K f: K the batch mean of KL(p || q) over all classes, f the batch mean of 1 - cos(p, log
// q), a cosine of probabilities with log-probabilities, in [1, 2]; the gradient flows through both. student
// B,C -> [1].
Var pcd_released_loss(const Pass& pass, const Var& student, const Tensor& teacher, double tau, int stages,
                      double weight) {
  const Var k = kl_divergence(pass, student, teacher, tau, 2 * weight * stages * tau * tau);
  const Var f = row_loss(pass, "log_cosine", student, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return LogCosineRow<T>{student.tensor().as<T>(), teacher.as<T>(), loss,      gradient,
                           student.shape()[1],       T(1 / tau),      row_weight};
  });
  return mul(pass, k, f);
}

class PcdReleased : public Distiller {
 public:
  PcdReleased(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        stages_(settings.integer("stages")),
        alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"pcd-released", pcd_released_loss(pass, z.student, z.teacher, tau_, stages_, alpha_)}};
  }

 private:
  double tau_;
  int stages_;
  double alpha_;
};

}  // namespace

MethodInfo pcd_released_method() {
  std::vector<MethodKey> keys = common_keys("1", "20");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the distillation term"});
  keys.push_back({"stages", MethodKey::integer, "3", "S: here only a factor of the weight", 1});
  return {"pcd-released",
          "PCD as its authors' code computes it",
          "arXiv:2505.24310",
          {.batch = true},
          keys,
          construct<PcdReleased>};
}

}  // namespace retort
