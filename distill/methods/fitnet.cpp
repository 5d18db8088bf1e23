// FitNets: Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets",
// arXiv:1412.6550, as mdistiller trains it: the hint in the loss from the first epoch on.
// Cost: +16.17 ms on kd (README.md).
#include "distill/methods/distiller.h"
#include "layers/layers.h"

namespace retort {

namespace {

// R: brings the student's map to the teacher's shape. A convolution with bias, batch norm, ReLU; the
// convolution halves the side (3x3), doubles it (4x4, transposed) or takes off what the student has too much
// (1x1 if nothing).
class Regressor : public Module {
 public:
  Regressor(Device& device, const Shape& student, const Shape& teacher, DType type)
      : bn_(device, teacher[3], type) {
    const int64_t from = student[1], to = teacher[1], in = student[3], out = teacher[3];
    check(student[2] == from && teacher[2] == to, "fitnet: maps of ", student, " and ", teacher,
          " are not square");
    int64_t kernel = 1 + from - to;
    if (from == 2 * to) {
      kernel = 3;
      spec_ = {.stride = 2, .pad = 1};
    } else if (2 * from == to) {
      kernel = 4;
      spec_ = {.stride = 2, .pad = 1};
      transposed_ = true;
    } else {
      check(from >= to, Fault::usage, "method fitnet: the student's map is ", from, " wide, the teacher's ",
            to, "; expected at least as wide, or half; another method.stage may fit");
    }
    const Shape shape = transposed_ ? Shape{in, kernel, kernel, out} : Shape{out, kernel, kernel, in};
    weight_ = Parameter(device, shape, type);
    bias_ = Parameter(device, {out}, type);
    // PyTorch's default, which takes a transposed convolution's outputs for its inputs.
    init_ = Init::fan_in((transposed_ ? out : in) * kernel * kernel);
  }

  void visit(Visitor& visitor) override {
    visitor.parameter("conv.weight", weight_, init_);
    visitor.parameter("conv.bias", bias_, init_);
    visitor.child("bn", bn_);
  }

  Var operator()(const Var& x, const Pass& pass) {
    const Var w = pass.parameter(weight_), b = pass.parameter(bias_);
    return bn_(transposed_ ? conv2d_transposed(pass, x, w, b, spec_) : conv2d(pass, x, w, b, spec_), pass,
               true);
  }

 private:
  Conv2dSpec spec_;
  bool transposed_ = false;
  Init init_;
  Parameter weight_, bias_;
  BatchNorm bn_;
};

const Shape& stage_of(const FeatureShapes& shapes, const char* who, int stage) {
  check(stage < int(shapes.stages.size()), Fault::usage, "method fitnet: stage is ", stage, ", the ", who,
        " has ", int(shapes.stages.size()) - 1, " behind its stem (method.stage)");
  return shapes.stages[size_t(stage)];
}

// alpha mean (R(F_s) - F_t)^2 on the output of one stage (equation 3).
class FitNet : public Distiller {
 public:
  FitNet(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        stage_(settings.integer("stage")),
        regressor_(device, stage_of(context.student, "student", stage_),
                   stage_of(context.teacher, "teacher", stage_), context.type) {}

  void visit(Visitor& visitor) override { visitor.child("regressor", regressor_); }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var guided = regressor_(inputs.features.student.stages[size_t(stage_)], pass);
    const Var& hint = inputs.features.teacher.stages[size_t(stage_)];
    return {{"hint", weighted(pass, mean_all(pass, square(pass, sub(pass, guided, hint))), alpha_)}};
  }

 private:
  double alpha_;
  int stage_;
  Regressor regressor_;
};

}  // namespace

MethodInfo fitnet_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "100", "weight of the distillation term"});
  keys.push_back({"stage", MethodKey::integer, "2", "whose output is the hint, 0: the stem"});
  return {"fitnet",         "FitNets: Hints for Thin Deep Nets", "arXiv:1412.6550", {.features = true}, keys,
          construct<FitNet>};
}

}  // namespace retort
