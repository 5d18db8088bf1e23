// DIST: Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger Teacher", arXiv:2205.10536.
// Cost: +0.04 ms on kd (README.md).
#include "distill/methods/distiller.h"

namespace retort {

namespace {

Var centred_rows(const Pass& pass, const Var& x) {
  return sub(pass, x, sum_columns(pass, x, 1.0 / double(x.shape().last())));
}

Var row_norms(const Pass& pass, const Var& x) {
  return sqrt(pass, sum_columns(pass, square(pass, x)));
}

// 1 - mean over rows of Pearson's correlation of x and y (equation 5 of the paper): <u, v> / (|u||v| + 1e-8),
// u and v the centred rows. A row of equal numbers has correlation 0 and no gradient.
Var pearson_distance(const Pass& pass, const Var& x, const Var& y, double weight) {
  const Var u = centred_rows(pass, x), v = centred_rows(pass, y);
  const Var norms = mul(pass, row_norms(pass, u), row_norms(pass, v));
  const Var correlation = div(pass, sum_columns(pass, mul(pass, u, v)), affine(pass, norms, 1, 1e-8));
  return affine(pass, mean_all(pass, correlation), -weight, weight);
}

// tau^2 [beta inter + gamma intra] (equation 10): inter correlates both predictions over the classes of
// each sample, intra over the samples of each class. It reduces over the batch, so it is composed of plain
// ops.
class Dist : public Distiller {
 public:
  Dist(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        beta_(settings.number("beta")),
        gamma_(settings.number("gamma")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const Var q = softmax(pass, z.student, tau_), p = softmax(pass, z.teacher, tau_);
    const double scale = tau_ * tau_;
    return {{"inter", pearson_distance(pass, q, p, beta_ * scale)},
            {"intra", pearson_distance(pass, transpose(pass, q), transpose(pass, p), gamma_ * scale)}};
  }

 private:
  double tau_, beta_, gamma_;
};

}  // namespace

MethodInfo dist_method() {
  std::vector<MethodKey> keys = common_keys("1", "0");
  keys.push_back(temperature_key("4"));
  keys.push_back({"beta", MethodKey::number, "2", "weight of the correlation over classes"});
  keys.push_back({"gamma", MethodKey::number, "2", "weight of the correlation over samples"});
  return {"dist",
          "Knowledge Distillation from A Stronger Teacher",
          "arXiv:2205.10536",
          {.batch = true},
          keys,
          construct<Dist>};
}

}  // namespace retort
