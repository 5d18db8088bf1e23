// SP: Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, arXiv:1907.09682.
// Cost: +16.53 ms on kd (README.md).
#include "distill/methods/sp.h"

#include "distill/methods/distiller.h"

namespace retort {

namespace {

// B,B: scalar products of the images' maps, each row of length 1 (equations 2 and 3).
Var similarity(const Pass& pass, const Var& map) {
  const int64_t batch = map.shape()[0];
  const Var rows = reshape(pass, map, {batch, map.tensor().size() / batch});
  return normalize_rows(pass, matmul(pass, rows, rows, false, true), 1e-12);
}

class Sp : public Distiller {
 public:
  Sp(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var loss =
        similarity_loss(pass, inputs.features.student.stages.back(), inputs.features.teacher.stages.back());
    return {{"sp", weighted(pass, loss, alpha_)}};
  }

 private:
  double alpha_;
};

}  // namespace

Var similarity_loss(const Pass& pass, const Var& student, const Var& teacher) {
  const Shape &s = student.shape(), &t = teacher.shape();
  check(s.rank() >= 2 && t.rank() >= 2 && s[0] == t[0], "similarity_loss: ", s, " and ", t,
        ", expected maps of the same images");
  const Var gap = sub(pass, similarity(pass, student), similarity(pass, teacher));
  return sum_all(pass, square(pass, gap), 1 / (double(s[0]) * double(s[0])));
}

MethodInfo sp_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "3000", "weight of the distillation term"});
  return {"sp",
          "Similarity-Preserving Knowledge Distillation",
          "arXiv:1907.09682",
          {.features = true, .batch = true},
          keys,
          construct<Sp>};
}

}  // namespace retort
