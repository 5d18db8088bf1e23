// WKD-L: Lv, Yang, Li, "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge Distillation",
// NeurIPS 2024, arXiv:2412.08139.
// Cost: +0.88 ms on kd (README.md).
#include <cmath>
#include <numbers>
#include <vector>

#include "distill/methods/distiller.h"
#include "distill/methods/target_split.h"
#include "distill/methods/wkd_row.h"
#include "engine/ops/ops.h"
#include "engine/types.h"

namespace retort {

namespace {

constexpr int iterations = 10;
constexpr double regularisation = 0.05, least = 1e-8;

// Softmax at the temperature over the classes other than the label, whose place gets 0: B,C -> B,C; labels
// i32 B. Error(Fault::usage) if C < 2.
Var others_softmax(const Pass& pass, const Var& logits, const Tensor& labels, double temperature) {
  check(logits.shape().rank() == 2 && labels.type == DType::i32 && labels.size() == logits.shape()[0],
        "others_softmax: logits ", logits.shape(), ", labels ", labels.shape, " ", labels.type,
        ", expected B,C and i32 of B");
  const int64_t rows = logits.shape()[0], n = logits.shape()[1];
  check(n >= 2, Fault::usage, "the logits have ", n, " class; leaving out the labelled one needs at least 2");
  Var y = pass.make(logits.shape(), logits.type());
  with_real_type(logits.type(), "others_softmax", [&]<class T>() {
    launch_rows(pass.backend(),
                OthersSoftmaxRow<T>{logits.tensor().as<T>(), labels.as<int32_t>(), y.tensor().as<T>(), n,
                                    T(1 / temperature)},
                rows);
  });
  pass.record("others_softmax", y, {logits}, [y, n, temperature](const Tensor& dy, Grads& g) {
    const Sink dz = g.sink(0);
    with_real_type(dy.type, "others_softmax", [&]<class T>() {
      launch_rows(g.backend(),
                  OthersSoftmaxGradientRow<T>{y.tensor().as<T>(), dy.as<T>(), dz.to.as<T>(), n,
                                              T(1 / temperature), dz.accumulates()},
                  dy.shape.rows());
    });
  });
  return y;
}

// Mean over samples of weight times the cost of moving b to a, the distributions of the other classes
// (equations 3 to 5), D the cost between classes (C,C). Ten iterations of Sinkhorn at regularisation 0.05,
// and the gradient goes through them: with D' = max(D, 0) + 1e-8 and K = exp(-D' / 0.05), from u = 1 / (C -
// 1) on v = b / (K'u + 1e-8), u = a / (K v + 1e-8); then sum over i, j of u_i K_ij v_j D'_ij. Not 0 where a
// and b agree. -> [1]
Var transport_cost(const Pass& pass, const Var& a, const Var& b, const Var& start, const Var& distances,
                   double weight) {
  const int64_t classes = a.shape().last();
  check(a.shape().rank() == 2 && b.shape() == a.shape() && start.shape() == a.shape() &&
            distances.shape() == Shape({classes, classes}),
        "transport_cost: a ", a.shape(), ", b ", b.shape(), ", start ", start.shape(), ", distances ",
        distances.shape());
  const Var d = affine(pass, at_least(pass, distances, 0), 1, least);
  const Var kernel = exp(pass, affine(pass, d, -1 / regularisation));
  const auto quotient = [&](const Var& over, const Var& u, bool transposed) {
    return div(pass, over, affine(pass, matmul(pass, u, kernel, false, transposed), 1, least));
  };
  Var u = start, v;
  for (int i = 0; i < iterations; ++i) {
    v = quotient(b, u, false);
    u = quotient(a, v, true);
  }
  const Var cost = matmul(pass, v, mul(pass, kernel, d), false, true);
  return sum_all(pass, mul(pass, u, cost), weight / double(a.shape()[0]));
}

// mean -p_y log q_y, and alpha c(e) times the transport cost over the other classes, where moving from one
// class to another costs D = 1 - exp(-scale (1 - A)), A how alike the teacher's features of the two are
// (centred kernel alignment, Kornblith et al., arXiv:1905.00414). c is 1 up to an epoch and then falls to 0
// as a cosine. Costs 20 products of B,C and C,C forward and twice as many backward.
class Wkd : public Distiller {
 public:
  Wkd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        tau_(settings.number("temperature")),
        alpha_(settings.number("alpha")),
        scale_(settings.number("scale")),
        decay_from_(settings.number("decay_from")),
        epochs_(context.epochs),
        share_(device.scalar(1)) {
    const auto classes = int64_t(std::lround(std::sqrt(double(context.class_similarity.size()))));
    check(classes > 0 && classes * classes == int64_t(context.class_similarity.size()), Fault::usage,
          "method ", settings.method().name,
          " needs to know how alike a teacher sees the classes, C x C numbers; ",
          context.class_similarity.size(), " are given");
    similarity_ = device.persistent({classes, classes}, context.type);
    write_values(device, similarity_, context.class_similarity);
  }

  void begin_epoch(int epoch) override {
    Distiller::begin_epoch(epoch);
    const double part = (epoch - decay_from_) / (epochs_ - decay_from_);
    const bool falls = epoch > decay_from_ && epochs_ > decay_from_;
    device().set(share_, falls ? (1 + std::cos(std::numbers::pi * part)) / 2 : 1);
  }

  // A run that goes on has it from its checkpoint.
  void visit(Visitor& visitor) override { visitor.buffer("similarity", similarity_, {Init::kept}); }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const Var none = pass.make(z.student.shape(), z.student.type());
    pass.backend().fill(none, 0);
    const Var even = others_softmax(pass, none, inputs.labels, 1);
    const Var a = others_softmax(pass, z.student, inputs.labels, tau_);
    const Var b = others_softmax(pass, z.teacher, inputs.labels, tau_);
    const Var alike = exp(pass, affine(pass, Var(similarity_), scale_, -scale_));
    const Var cost = transport_cost(pass, a, b, even, affine(pass, alike, -1, 1), alpha_);
    return {{"target", target_cross_entropy(pass, z.student, z.teacher, inputs.labels)},
            {"transport", scale_by(pass, cost, share_)}};
  }

 private:
  double tau_, alpha_, scale_, decay_from_;
  int epochs_;
  Scalar share_;
  Array similarity_;
};

}  // namespace

// The defaults are those of resnet32x4-resnet8x4; of other pairs only wrn_40_2-ShuffleV1's are known.
MethodInfo wkd_method() {
  std::vector<MethodKey> keys = common_keys("1", "0");
  keys.push_back(temperature_key("8"));
  keys.push_back({"alpha", MethodKey::number, "600", "weight of the transport cost"});
  keys.push_back(
      {"scale", MethodKey::number, "1", "s of the cost between classes, 1 - exp(-s (1 - alikeness))"});
  keys.push_back(
      {"decay_from", MethodKey::number, "150", "epoch after which the cost's weight falls to 0 as a cosine"});
  return {"wkd-l",
          "Wasserstein Knowledge Distillation, of logits",
          "arXiv:2412.08139",
          {.labels = true, .class_similarity = true, .length = true},
          keys,
          construct<Wkd>};
}

}  // namespace retort
