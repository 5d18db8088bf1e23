// PKT: Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
// arXiv:1803.10837.
// Cost: +3.78 ms on kd (README.md).
#include "distill/methods/pkt.h"

#include "distill/methods/distiller.h"
#include "distill/methods/pkt_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

// B,B: cosines between the images' features. A row of zeros has no direction: its cosines are 0, its gradient
// too.
Var cosines(const Pass& pass, const Var& x) {
  const Var lengths = sqrt(pass, sum_columns(pass, square(pass, x)));
  // 1 / (length + 1e-7), and 0 for nothing, which 1e7 would be a factor of the gradient of.
  const Var longer = affine(pass, mul(pass, lengths, affine(pass, lengths, 1, 1e-7)), 1, 1e-30);
  const Var u = mul(pass, x, div(pass, lengths, longer));
  return matmul(pass, u, u, false, true);
}

class Pkt : public Distiller {
 public:
  Pkt(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var loss = neighbourhood_loss(pass, inputs.features.student.pooled, inputs.features.teacher.pooled);
    return {{"pkt", weighted(pass, loss, alpha_)}};
  }

 private:
  double alpha_;
};

}  // namespace

Var neighbourhood_loss(const Pass& pass, const Var& student, const Var& teacher) {
  const Shape &s = student.shape(), &t = teacher.shape();
  check(s.rank() == 2 && t.rank() == 2 && s[0] == t[0], "neighbourhood_loss: ", s, " and ", t,
        ", expected features of the same images");
  const Var of_student = cosines(pass, student), of_teacher = cosines(pass, teacher);
  const int64_t n = s[0];
  return row_loss(pass, "neighbourhood_loss", of_student, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return NeighbourhoodRow<T>{
        of_student.tensor().as<T>(), of_teacher.tensor().as<T>(), loss, gradient, n, row_weight / T(n)};
  });
}

MethodInfo pkt_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "30000", "weight of the distillation term"});
  return {"pkt",
          "Probabilistic Knowledge Transfer",
          "arXiv:1803.10837",
          {.features = true, .batch = true},
          keys,
          construct<Pkt>};
}

}  // namespace retort
