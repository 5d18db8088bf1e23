// SDD: Luo, "Scale Decoupled Distillation", CVPR 2024, arXiv:2403.13512: a method of logits on every region
// of the last map, each a row of its own to the classifier. Costs what that method costs on 21 times (or 5
// times) the rows.
// Cost: sdd-kd +6.73 ms on kd, sdd-dkd +8.58 ms on kd, sdd-nkd +8.78 ms on kd (README.md).
#include "distill/methods/crld_row.h"
#include "distill/methods/distiller.h"
#include "distill/methods/sdd_row.h"
#include "distill/methods/target_split.h"
#include "engine/ops/row_loss.h"
#include "engine/types.h"

namespace retort {

namespace {

// The last map averaged over the cells of 4x4, 2x2 and 1x1 grids, the coarser ones of the finest: B regions,
// C rows, the whole map last of each sample.
Var regions_of(const Pass& pass, const Var& map, bool finest) {
  const Var cells = adaptive_average_pool(pass, map, 4, 4);
  const int64_t batch = map.shape()[0], channels = map.shape()[3];
  const auto rows = [&](int64_t side) {
    const Var grid = side == 4 ? cells : adaptive_average_pool(pass, cells, side, side);
    return reshape(pass, grid, {batch, side * side * channels});
  };
  const Var all =
      finest ? concat_columns(pass, {rows(4), rows(2), rows(1)}) : concat_columns(pass, {rows(2), rows(1)});
  return reshape(pass, all, {batch * (finest ? 21 : 5), channels});
}

// Mean over samples and regions of weight times the base method's loss.
class Sdd : public Distiller {
 public:
  enum Base { kd, dkd, nkd };

  Sdd(const MethodSettings& settings, Device& device)
      : Distiller(settings, device),
        base_(settings.method().name == "sdd-kd"    ? kd
              : settings.method().name == "sdd-dkd" ? dkd
                                                    : nkd),
        finest_(settings.choice("scales") == "1,2,4"),
        tau_(settings.number("temperature")) {
    for (const char* key : {"alpha", "beta", "gamma"}) {
      if (settings.has(key)) weights_.push_back(settings.number(key));
    }
    if (base_ == nkd) all_classes_ = settings.flag("all_classes");
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const auto& [student, teacher] = inputs.features;
    check(inputs.classifiers.student && inputs.classifiers.teacher && student.map && teacher.map,
          settings().method().name,
          " reads the last map and the classifier of both networks, but was given none");
    const Var own = inputs.classifiers.student(regions_of(pass, student.map, finest_));
    const Var taught =
        inputs.classifiers.teacher(regions_of(Pass{pass.device}, teacher.map, finest_)).detached();
    const DType type = own.type();
    const int64_t rows = own.shape()[0], n = own.shape()[1];
    const Var labels = pass.make({rows}, DType::i32), weights = pass.make({rows}, type);
    with_real_type(type, "sdd", [&]<class T>() {
      launch_rows(pass.backend(),
                  RegionWeightRow<T>{taught.tensor().as<T>(), inputs.labels.tensor().as<int32_t>(),
                                     labels.tensor().as<int32_t>(), weights.tensor().as<T>(), n,
                                     rows / inputs.labels.tensor().size()},
                  rows);
    });
    return terms_of(prepared({own, taught}, pass), labels, weights, pass);
  }

 private:
  std::vector<LossTerm> terms_of(const Logits& z, const Var& labels, const Var& weights,
                                 const Pass& pass) const {
    const double scale = tau_ * tau_;
    if (base_ == kd) return {{"kd", divergence(z, weights, weights_[0] * scale, pass)}};
    if (base_ == dkd) {
      return {{"tckd", binary_kl(pass, z.student, z.teacher, labels, TeacherClass::label, tau_,
                                 weights_[0] * scale, weights)},
              {"nckd", subset_kl(pass, z.student, z.teacher, labels, Subset::not_label, tau_,
                                 weights_[1] * scale, false, weights)}};
    }
    return {{"target", target_cross_entropy(pass, z.student, z.teacher, labels, weights)},
            {"non-target",
             subset_kl(pass, z.student, z.teacher, labels, all_classes_ ? Subset::all : Subset::not_label,
                       tau_, weights_[0] * scale, true, weights)}};
  }

  Var divergence(const Logits& z, const Var& weights, double weight, const Pass& pass) const {
    return row_loss(
        pass, "sdd", z.student,
        [&]<class T>(T* loss, T* gradient, T row_weight) {
          return GatedKlRow<T>{.student = z.student.tensor().as<T>(),
                               .teacher = z.teacher.tensor().as<T>(),
                               .gate = z.teacher.tensor().as<T>(),
                               .loss = loss,
                               .gradient = gradient,
                               .n = z.student.shape()[1],
                               .threshold = T(0),
                               .inverse_temperature = T(1 / tau_),
                               .weight = T(weight) * row_weight};
        },
        weights);
  }

  Base base_;
  bool finest_, all_classes_ = false;
  double tau_;
  std::vector<double> weights_;
};

MethodInfo sdd_method(const std::string& base, const std::string& title, std::vector<MethodKey> keys) {
  keys.push_back(temperature_key("4"));
  keys.push_back({.name = "scales",
                  .kind = MethodKey::choice,
                  .fallback = "1,2,4",
                  .help = "sides of the grids of regions",
                  .choices = {"1,2,4", "1,2"}});
  return {"sdd-" + base, title, "arXiv:2403.13512", {.labels = true, .features = true}, keys, construct<Sdd>};
}

}  // namespace

MethodInfo sdd_kd_method() {
  std::vector<MethodKey> keys = common_keys("0.1", "0");
  keys.push_back({"alpha", MethodKey::number, "0.9", "weight of the distillation term"});
  return sdd_method("kd", "Scale Decoupled Distillation of kd", keys);
}

MethodInfo sdd_dkd_method() {
  std::vector<MethodKey> keys = common_keys("1", "20");
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the target class term"});
  keys.push_back({"beta", MethodKey::number, "8", "weight of the term of the other classes"});
  return sdd_method("dkd", "Scale Decoupled Distillation of dkd", keys);
}

MethodInfo sdd_nkd_method() {
  std::vector<MethodKey> keys = common_keys("1", "20");
  keys.push_back({"gamma", MethodKey::number, "8", "weight of the term of the other classes"});
  keys.push_back(
      {"all_classes", MethodKey::flag, "false",
       "the other classes are all classes, as in the authors' code, whose mask keeps the labelled one"});
  return sdd_method("nkd", "Scale Decoupled Distillation of nkd", keys);
}

}  // namespace retort
