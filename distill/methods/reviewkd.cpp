#include "distill/methods/reviewkd.h"

#include <algorithm>
#include <cmath>

#include "distill/methods/distiller.h"
#include "layers/layers.h"

namespace retort {

namespace {

Var mean_square(const Pass& pass, const Var& a, const Var& b) {
  return mean_all(pass, square(pass, sub(pass, a, b)));
}

ConvOptions conv(int kernel, int64_t in) {
  return {.kernel = kernel, .init = {Init::uniform, std::sqrt(3.0 / double(in * kernel * kernel))}};
}

// One level of the review: the student's map, joined with what the deeper levels leave, is compared with the
// teacher's. Attention based fusion, figure 4 of the paper.
class Level : public Module {
 public:
  // in, middle, out: channels of the student, inside, and of the teacher. The deepest level has nothing to be
  // joined with.
  Level(Device& device, int64_t in, int64_t middle, int64_t out, bool deepest, DType type)
      : reduce_(device, "reduce.conv", "reduce.bn", in, middle, conv(1, in), type),
        expand_(device, "expand.conv", "expand.bn", middle, out, conv(3, middle), type) {
    if (deepest) return;
    gate_ = std::make_unique<Conv2d>(
        device, 2 * middle, 2,
        ConvOptions{.kernel = 1, .bias = true, .init = Init::fan_in(2 * middle), .bias_fan_in = true}, type);
  }

  void visit(Visitor& visitor) override {
    visitor.child("", reduce_);
    if (gate_) visitor.child("gate", *gate_);
    visitor.child("", expand_);
  }

  // x: the student's map; residual: of the level below, and afterwards this level's. Returns what is
  // compared with the teacher's map, as high and wide.
  Var operator()(Var x, const Shape& teacher, Var& residual, const Pass& pass) {
    x = reduce_(x, pass, false);
    if (gate_) {
      const Var below = resized(pass, residual, x.shape()[1], x.shape()[2]);
      const Var gates = sigmoid(pass, (*gate_)(concat_columns(pass, {x, below}), pass));
      x = add(pass, mul(pass, x, slice_columns(pass, gates, 0, 1)),
              mul(pass, below, slice_columns(pass, gates, 1, 1)));
    }
    residual = resized(pass, x, teacher[1], teacher[2]);
    return expand_(residual, pass, false);
  }

 private:
  static Var resized(const Pass& pass, const Var& x, int64_t height, int64_t width) {
    return x.shape()[1] == height && x.shape()[2] == width ? x : resize_nearest(pass, x, height, width);
  }

  ConvBn reduce_, expand_;
  std::unique_ptr<Conv2d> gate_;
};

Shape as_map(const Shape& pooled) {
  return {pooled[0], 1, 1, pooled[1]};
}

// alpha times the sum over the levels of the hierarchical context loss. A classifier's levels: the stages,
// the student's as they are, or before their last ReLU too as on ImageNet, the teacher's before it, and the
// classifiers' inputs as maps of one place. A detector's: those of its feature pyramid.
class ReviewKd : public Distiller {
 public:
  ReviewKd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        before_relu_(settings.flag("before_relu")),
        pyramid_(context.student.pooled.rank() == 0) {
    const FeatureShapes &student = context.student, &teacher = context.teacher;
    pyramid_ ? check_pyramids(student, teacher) : check_stages(student, teacher);
    std::vector<std::pair<int64_t, int64_t>> widths;
    for (size_t i = pyramid_ ? 0 : 1; i < student.stages.size(); ++i)
      widths.push_back({student.stages[i][3], pyramid_ ? teacher.stages[i][3] : teacher.pre_relu[i - 1][3]});
    if (!pyramid_) widths.push_back({student.pooled[1], teacher.pooled[1]});
    const int64_t middle = std::min<int64_t>(settings.integer("width"), widths.back().first);
    for (const auto& [in, out] : widths) {
      const bool deepest = levels_.size() + 1 == widths.size();
      levels_.push_back(std::make_unique<Level>(device, in, middle, out, deepest, context.type));
    }
  }

  void visit(Visitor& visitor) override {
    for (size_t i = 0; i < levels_.size(); ++i) visitor.child(text("level", i + 1), *levels_[i]);
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Outputs &student = inputs.features.student, &teacher = inputs.features.teacher;
    Var residual, sum;
    for (size_t i = levels_.size(); i-- > 0;) {  // from the deepest up
      const bool deepest = i + 1 == levels_.size();
      Var x, target;
      if (pyramid_) {
        x = student.stages[i];
        target = teacher.stages[i];
      } else if (deepest) {
        x = reshape(pass, student.pooled, as_map(student.pooled.shape()));
        target = teacher.pooled.reshaped(as_map(teacher.pooled.shape()));
      } else {
        x = before_relu_ ? student.pre_relu[i] : student.stages[i + 1];
        target = teacher.pre_relu[i];
      }
      const Var own = (*levels_[i])(x, target.shape(), residual, pass);
      const Var loss = hierarchical_context_loss(pass, own, target);
      sum = sum ? add(pass, sum, loss) : loss;
    }
    return {{"review", weighted(pass, sum, alpha_)}};
  }

 private:
  void check_stages(const FeatureShapes& student, const FeatureShapes& teacher) const {
    const size_t stages = student.stages.size() - 1;
    check(!teacher.pre_relu.empty(), Fault::usage,
          "method reviewkd: the teacher's stages end without a ReLU (MobileNetV2), and it reads what is "
          "before it");
    check(stages == teacher.pre_relu.size(), Fault::usage, "method reviewkd: the student has ", stages,
          " stages, the teacher ", teacher.pre_relu.size(), "; it compares stage by stage");
    check(!before_relu_ || student.pre_relu.size() == stages, Fault::usage,
          "method reviewkd: before_relu is set, but the student's stages end without a ReLU (MobileNetV2)");
  }

  void check_pyramids(const FeatureShapes& student, const FeatureShapes& teacher) const {
    check(!student.stages.empty(), "method reviewkd: the context names no features");
    check(student.stages.size() == teacher.stages.size(), Fault::usage,
          "method reviewkd: the student's pyramid has ", student.stages.size(), " levels, the teacher's ",
          teacher.stages.size(), "; it compares level by level");
    check(!before_relu_, Fault::usage,
          "method reviewkd: before_relu is set, but no ReLU ends the levels of a detector's pyramid");
  }

  double alpha_;
  bool before_relu_;
  bool pyramid_;  // of detectors, which have no classifier's input
  std::vector<std::unique_ptr<Level>> levels_;
};

}  // namespace

Var hierarchical_context_loss(const Pass& pass, const Var& student, const Var& teacher) {
  check(student.shape().rank() == 4 && student.shape() == teacher.shape(),
        "hierarchical_context_loss: maps of ", student.shape(), " and ", teacher.shape(),
        ", expected two of one shape N,H,W,C");
  Var loss = mean_square(pass, student, teacher);
  double weight = 1, total = 1;
  for (const int64_t k : {4, 2, 1}) {
    if (k >= student.shape()[1]) continue;
    weight /= 2;
    total += weight;
    const Var pooled = mean_square(pass, adaptive_average_pool(pass, student, k, k),
                                   adaptive_average_pool(pass, teacher, k, k));
    loss = add(pass, loss, affine(pass, pooled, weight));
  }
  return affine(pass, loss, 1 / total);
}

MethodInfo reviewkd_method() {
  std::vector<MethodKey> keys = weight_keys("1", "20");
  keys.push_back({"alpha", MethodKey::number, "5", "weight of the distillation term"});
  keys.push_back(
      {"before_relu", MethodKey::flag, "false", "also the student's stages are read before their last ReLU"});
  keys.push_back({"width", MethodKey::integer, "512", "most channels inside", 1});
  return {"reviewkd",
          "Distilling Knowledge via Knowledge Review",
          "arXiv:2104.09044",
          {.features = true},
          keys,
          construct<ReviewKd>};
}

}  // namespace retort
