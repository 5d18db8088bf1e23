// SimKD: Chen, Mei, Zhang, Wang, Feng, Chen, "Knowledge Distillation with the Reused Teacher Classifier",
// CVPR 2022, arXiv:2203.14001. Costs what its projector costs.
// Cost: +22.74 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "distill/methods/feature_pairs.h"

namespace retort {

namespace {

// alpha times the mean squared difference of the student's projected map and the teacher's (equation 2). The
// network that is trained, tested and deployed ends in the teacher's classifier (see BorrowedClassifier).
class SimKd : public Distiller {
 public:
  SimKd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {
    const Shape &student = context.student.map, &teacher = context.teacher.map;
    check(student.rank() == 4 && teacher.rank() == 4 && student[3] == teacher[3], "simkd: maps of ", student,
          " and ", teacher, ", expected a student that ends in the teacher's classifier");
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const auto [s, t] = pooled_to_smaller(pass, inputs.features.student.map, inputs.features.teacher.map);
    return {{"simkd", weighted(pass, mean_all(pass, square(pass, sub(pass, s, t))), alpha_)}};
  }

 private:
  double alpha_;
};

}  // namespace

MethodInfo simkd_method() {
  std::vector<MethodKey> keys = weight_keys("0", "0");
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the distillation term"});
  return {"simkd",
          "Simple Knowledge Distillation: the teacher's classifier reused",
          "arXiv:2203.14001",
          {.features = true, .borrows_classifier = true},
          keys,
          construct<SimKd>};
}

}  // namespace retort
