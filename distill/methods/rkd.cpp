#include "distill/methods/rkd.h"

#include "distill/methods/distiller.h"

namespace retort {

namespace {

void check_features(const Var& student, const Var& teacher) {
  check(
      student.shape().rank() == 2 && teacher.shape().rank() == 2 && student.shape()[0] == teacher.shape()[0],
      "rkd: features of ", student.shape(), " and ", teacher.shape(), ", expected two of N,D");
}

// Distances between all samples, [N,N], the mean of two different ones being 1. The original takes the root
// of at least 1e-12, which changes something for samples closer than 1e-6 only.
Var distances(const Pass& pass, const Var& features) {
  const int64_t n = features.shape()[0];
  const Var squares = sum_columns(pass, square(pass, pair_differences(pass, features)));
  const Var d = sqrt(pass, reshape(pass, squares, {n, n}));
  if (n == 1) return d;
  // The floor keeps a student that tells no sample from another finite.
  return div(pass, d, at_least(pass, sum_all(pass, d, 1.0 / double(n * (n - 1))), 1e-6));
}

// Cosines at sample i between samples j and k, [N,N,N].
Var cosines(const Pass& pass, const Var& features) {
  const int64_t n = features.shape()[0], d = features.shape()[1];
  const Var directions = reshape(pass, pair_differences(pass, features), {n * n, d});
  return batched_gram(pass, reshape(pass, normalize_rows(pass, directions, 1e-12), {n, n, d}));
}

Var mean_huber(const Pass& pass, const Var& a, const Var& b) {
  return mean_all(pass, smooth_l1(pass, sub(pass, a, b)));
}

// alpha relational_distance_loss + beta relational_angle_loss on the classifiers' inputs.
class Rkd : public Distiller {
 public:
  Rkd(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), alpha_(settings.number("alpha")), beta_(settings.number("beta")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var &student = inputs.features.student.pooled, &teacher = inputs.features.teacher.pooled;
    return {{"distance", weighted(pass, relational_distance_loss(pass, student, teacher), alpha_)},
            {"angle", weighted(pass, relational_angle_loss(pass, student, teacher), beta_)}};
  }

 private:
  double alpha_, beta_;
};

}  // namespace

Var relational_distance_loss(const Pass& pass, const Var& student, const Var& teacher) {
  check_features(student, teacher);
  return mean_huber(pass, distances(pass, student), distances(pass, teacher));
}

Var relational_angle_loss(const Pass& pass, const Var& student, const Var& teacher) {
  check_features(student, teacher);
  return mean_huber(pass, cosines(pass, student), cosines(pass, teacher));
}

MethodInfo rkd_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "25", "weight of the distances"});
  keys.push_back({"beta", MethodKey::number, "50", "weight of the angles"});
  return {"rkd",
          "Relational Knowledge Distillation",
          "arXiv:1904.05068",
          {.features = true, .batch = true},
          keys,
          construct<Rkd>};
}

}  // namespace retort
