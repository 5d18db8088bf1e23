// VID: Ahn, Hu, Damianou, Lawrence, Dai, "Variational Information Distillation for Knowledge Transfer", CVPR
// 2019, arXiv:1904.05835.
// Cost: +98.68 ms on kd (README.md).
#include "distill/methods/vid.h"

#include <cmath>
#include <memory>

#include "distill/methods/distiller.h"
#include "distill/methods/feature_pairs.h"
#include "layers/layers.h"

namespace retort {

namespace {

constexpr double least_variance = 1e-5;

// The mean of the teacher's map, given the student's: three 1x1 convolutions with ReLU between them; and rho,
// of which its variance is made.
class Regressor : public Module {
 public:
  Regressor(Device& device, int64_t in, int64_t out, double variance, bool learns_variance, DType type)
      : start_(std::log(std::exp(variance - least_variance) - 1)), rho_(device, {out}, type, start_) {
    for (int i = 0; i < 3; ++i) {
      const int64_t from = i == 0 ? in : out;
      convolutions_.push_back(std::make_unique<Conv2d>(
          device, from, out, ConvOptions{.kernel = 1, .init = Init::fan_in(from)}, type));
    }
    if (!learns_variance) rho_.grad = {};  // a constant to every pass
  }

  void visit(Visitor& visitor) override {
    for (size_t i = 0; i < convolutions_.size(); ++i) visitor.child(text("conv", i + 1), *convolutions_[i]);
    if (rho_.grad)
      visitor.parameter("rho", rho_, {Init::constant, start_});
    else
      visitor.buffer("rho", rho_.value, {Init::constant, start_});
  }

  Var operator()(const Var& map, const Pass& pass) {
    Var x = map;
    for (size_t i = 0; i < convolutions_.size(); ++i) {
      x = (*convolutions_[i])(x, pass);
      if (i + 1 < convolutions_.size()) x = relu(pass, x);
    }
    return x;
  }
  Var rho(const Pass& pass) { return pass.parameter(rho_); }

 private:
  double start_;
  std::vector<std::unique_ptr<Conv2d>> convolutions_;
  Parameter rho_;
};

// alpha times the sum of gaussian_loss over the stages: the student predicts the teacher's map, as surely as
// it can.
class Vid : public Distiller {
 public:
  Vid(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {
    const auto &student = context.student.stages, &teacher = context.teacher.stages;
    check(student.size() <= teacher.size(), Fault::usage, "method vid: the student has ", student.size() - 1,
          " stages, the teacher ", teacher.size() - 1, "; expected a teacher with at least as many");
    for (size_t i = 1; i < student.size(); ++i) {  // 0 is the stem
      regressors_.push_back(std::make_unique<Regressor>(device, student[i][3], teacher[i][3],
                                                        settings.number("variance"),
                                                        !settings.flag("fixed_variance"), context.type));
    }
  }

  void visit(Visitor& visitor) override {
    for (size_t i = 0; i < regressors_.size(); ++i) visitor.child(text("regressor", i + 1), *regressors_[i]);
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    size_t next = 0;
    const Var sum = sum_over_stages(inputs, pass, [&](const Pass&, const Var& student, const Var& teacher) {
      Regressor& regressor = *regressors_[next++];
      const auto [s, t] = pooled_to_smaller(pass, student, teacher);
      return gaussian_loss(pass, regressor(s, pass), t, regressor.rho(pass));
    });
    return {{"vid", weighted(pass, sum, alpha_)}};
  }

 private:
  double alpha_;
  std::vector<std::unique_ptr<Regressor>> regressors_;
};

}  // namespace

Var gaussian_loss(const Pass& pass, const Var& mean, const Var& target, const Var& rho) {
  check(mean.shape() == target.shape() && rho.tensor().size() == mean.shape().last(), "gaussian_loss: mean ",
        mean.shape(), ", target ", target.shape(), ", rho ", rho.shape());
  const Var variance = affine(pass, log(pass, affine(pass, exp(pass, rho), 1, 1)), 1, least_variance);
  const Var gap = mean_all(pass, div(pass, square(pass, sub(pass, mean, target)), variance));
  return affine(pass, add(pass, gap, mean_all(pass, log(pass, variance))), 0.5);
}

MethodInfo vid_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the distillation term"});
  keys.push_back({"variance", MethodKey::number, "5", "at the start, of every channel", 1e-4});
  keys.back().maximum = 80;  // f32 holds no exponential of much more
  keys.push_back({"fixed_variance", MethodKey::flag, "false",
                  "the variances stay as they start: mdistiller's code never trains them"});
  return {"vid",         "Variational Information Distillation", "arXiv:1904.05835", {.features = true}, keys,
          construct<Vid>};
}

}  // namespace retort
