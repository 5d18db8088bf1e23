// OFD: Heo, Kim, Yun, Park, Kwak, Choi, "A Comprehensive Overhaul of Feature Distillation", ICCV 2019,
// arXiv:1904.01866. The authors' teacher runs in training mode; here it runs as it was trained to be used.
// Cost: +35.01 ms on kd (README.md).
#include "distill/methods/ofd.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

#include "distill/methods/distiller.h"
#include "distill/methods/ofd_row.h"
#include "engine/ops/row_loss.h"
#include "layers/layers.h"

namespace retort {

std::vector<double> activation_margins(const std::vector<double>& gamma, const std::vector<double>& beta) {
  check(gamma.size() == beta.size(), "activation_margins: ", gamma.size(), " gammas, ", beta.size(),
        " betas");
  std::vector<double> margins;
  for (size_t c = 0; c < gamma.size(); ++c) {
    const double s = std::abs(gamma[c]), b = beta[c];
    if (s == 0) {
      margins.push_back(std::min(b, 0.0));
      continue;
    }
    const double below = 0.5 * std::erfc(b / s / std::numbers::sqrt2);  // the share of it below 0
    const double density = std::exp(-(b / s) * (b / s) / 2) / std::sqrt(2 * std::numbers::pi);
    margins.push_back(below > 0.001 ? b - s * density / below : -3 * s);
  }
  return margins;
}

Var partial_l2(const Pass& pass, const Var& x, const Tensor& target, const Tensor& margins, double weight) {
  check(x.shape().rank() == 4 && target.shape == x.shape() && target.type == x.type() &&
            margins.type == x.type() && margins.size() == x.shape()[3],
        "partial_l2: x ", x.shape(), ", target ", target.shape, ", margins ", margins.shape);
  const int64_t channels = x.shape()[3], places = x.shape()[1] * x.shape()[2];
  const Var rows = reshape(pass, x, {x.shape()[0] * places, channels});
  return row_loss(pass, "partial_l2", rows, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return PartialL2Row<T>{rows.tensor().as<T>(),
                           target.as<T>(),
                           margins.as<T>(),
                           loss,
                           gradient,
                           channels,
                           T(weight * double(places)) * row_weight};
  });
}

namespace {

// One stage: the student's values before their last ReLU, brought to the teacher's width, against the
// teacher's.
class Connector : public Module {
 public:
  Connector(Device& device, int64_t in, int64_t out, const std::vector<double>& margins, DType type)
      : conv_(device, in, out, ConvOptions{.kernel = 1, .init = Init::he(1, out)}, type),
        bn_(device, out, type),
        margins_(device.persistent({out}, type)) {
    write_values(device, margins_, margins);
  }

  void visit(Visitor& visitor) override {
    visitor.child("conv", conv_);
    visitor.child("bn", bn_);
  }

  Var loss(const Var& student, const Var& teacher, double weight, const Pass& pass) {
    const Var x = bn_(conv_(student, pass), pass);
    const int64_t height = x.shape()[1], width = x.shape()[2];
    const bool same = teacher.shape()[1] == height && teacher.shape()[2] == width;
    return partial_l2(pass, x, same ? teacher : adaptive_average_pool(pass, teacher, height, width), margins_,
                      weight);
  }

 private:
  Conv2d conv_;
  BatchNorm bn_;
  Array margins_;  // follows from the teacher
};

// alpha times the sum over stages i = 1..n of partial_l2 / 2^(n - i).
class Ofd : public Distiller {
 public:
  Ofd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {
    const auto &student = context.student.pre_relu, &teacher = context.teacher.pre_relu;
    check(!student.empty() && !teacher.empty(), Fault::usage, "method ofd: the ",
          student.empty() ? "student" : "teacher",
          " has no values before a last ReLU (MobileNetV2's stages are linear); expected both to have them");
    check(student.size() == teacher.size(), Fault::usage, "method ofd: the student has ", student.size(),
          " stages, the teacher ", teacher.size(), "; expected as many");
    check(context.teacher_norms.size() == teacher.size(), Fault::usage,
          "method ofd: the teacher's network tells ", context.teacher_norms.size(),
          " batch norms before the last ReLUs of its ", teacher.size(),
          " stages; expected one each, as resnet, wrn and vgg have");
    for (size_t i = 0; i < student.size(); ++i) {
      const auto& norm = context.teacher_norms[i];
      connectors_.push_back(std::make_unique<Connector>(
          device, student[i][3], teacher[i][3], activation_margins(norm.gamma, norm.beta), context.type));
    }
  }

  void visit(Visitor& visitor) override {
    for (size_t i = 0; i < connectors_.size(); ++i) visitor.child(text("connector", i + 1), *connectors_[i]);
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const size_t stages = connectors_.size();
    Var sum;
    for (size_t i = 0; i < stages; ++i) {
      const Var loss =
          connectors_[i]->loss(inputs.features.student.pre_relu[i], inputs.features.teacher.pre_relu[i],
                               alpha_ / std::pow(2.0, double(stages - 1 - i)), pass);
      sum = sum ? add(pass, sum, loss) : loss;
    }
    return {{"ofd", sum}};
  }

 private:
  double alpha_;
  std::vector<std::unique_ptr<Connector>> connectors_;
};

}  // namespace

MethodInfo ofd_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "0.001", "weight of the distillation term"});
  return {"ofd",         "Overhaul of Feature Distillation", "arXiv:1904.01866", {.features = true}, keys,
          construct<Ofd>};
}

}  // namespace retort
