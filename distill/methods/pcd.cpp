#include "distill/methods/pcd.h"

#include "distill/methods/distiller.h"
#include "distill/methods/pcd_row.h"
#include "engine/base/check.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

void check_pcd(const Tensor& student, const Tensor& teacher, const PcdSpec& spec) {
  check(student.shape.rank() == 2 && teacher.shape == student.shape && teacher.type == student.type,
        "pcd: student ", student.shape, ", teacher ", teacher.shape);
  const int64_t classes = student.shape[1];
  check(spec.stages >= 1 && spec.stages <= classes, Fault::usage, "pcd: method.stages is ", spec.stages,
        ", the logits have ", classes, " classes; expected 1 to ", classes);
  check(spec.first_stage >= 1 && spec.first_stage <= spec.stages, "pcd: stages ", spec.first_stage, " to ",
        spec.stages);
}

template <class T>
PcdRow<T> row_of(const Tensor& student, const Tensor& teacher, const PcdSpec& spec, double weight, T* loss,
                 T* gradient, T row_weight) {
  const double tau = spec.temperature;
  return {student.as<T>(),
          teacher.as<T>(),
          loss,
          gradient,
          student.shape[1],
          spec.first_stage,
          spec.stages,
          spec.ranked,
          spec.cosine,
          T(1 / tau),
          T(weight * tau * tau * spec.directions) * row_weight};
}

}  // namespace

Var pcd_loss(const Pass& pass, const Var& student, const Tensor& teacher, const PcdSpec& spec,
             double weight) {
  check_pcd(student, teacher, spec);
  return row_loss(pass, "pcd", student, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return row_of<T>(student, teacher, spec, weight, loss, gradient, row_weight);
  });
}

namespace {

PcdSpec spec_of(const MethodSettings& settings) {
  return {.temperature = settings.number("temperature"),
          .stages = settings.integer("stages"),
          .ranked = settings.choice("ranking") == "difference",
          .directions = settings.choice("direction") == "both" ? 2 : 1,
          .cosine = settings.choice("weight") == "cosine"};
}

class Pcd : public Distiller {
 public:
  Pcd(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), spec_(spec_of(settings)), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    return {{"pcd", pcd_loss(pass, z.student, z.teacher, spec_, alpha_)}};
  }
  bool fuse(const DistillInputs& inputs, FusedRows& rows) override {
    check_pcd(inputs.logits.student, inputs.logits.teacher, spec_);
    rows.launch({"pcd"}, row_of<float>(inputs.logits.student, inputs.logits.teacher, spec_, alpha_, nullptr,
                                       nullptr, rows.row_weight()));
    return true;
  }

 private:
  PcdSpec spec_;
  double alpha_;
};

}  // namespace

std::string fit_stages(MethodSettings& settings, int64_t classes) {
  const std::string& method = settings.method().name;
  // The released code's stages are a factor, no partitions.
  if (!settings.has("stages") || method == "pcd-released" || settings.is_set("stages")) return "";
  const int usual = settings.integer("stages");
  if (usual <= classes) return "";
  settings.set("stages", std::to_string(classes));
  return text(method, " has ", classes, classes == 1 ? " stage" : " stages", " instead of ", usual,
              ", for the ", classes, classes == 1 ? " class" : " classes",
              " that are compared (method.stages)");
}

MethodInfo pcd_method() {
  std::vector<MethodKey> keys = common_keys("1", "20");
  keys.push_back(temperature_key("4"));
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the distillation term"});
  keys.push_back({"stages", MethodKey::integer, "3", "S: partitions into 1 to S groups of classes", 1});
  keys.push_back({.name = "ranking",
                  .kind = MethodKey::choice,
                  .fallback = "difference",
                  .help = "order of the classes: by the difference of the logits, or none",
                  .choices = {"difference", "none"}});
  keys.push_back({.name = "direction",
                  .kind = MethodKey::choice,
                  .fallback = "both",
                  .help = "one direction visits every partition once, both visit it twice",
                  .choices = {"both", "fine-to-coarse", "coarse-to-fine"}});
  keys.push_back({.name = "weight",
                  .kind = MethodKey::choice,
                  .fallback = "cosine",
                  .help = "weight of a group: 1 - cos(p, q), or none",
                  .choices = {"cosine", "none"}});
  return {"pcd", "Progressive Class-level Distillation", "arXiv:2505.24310", {}, keys, construct<Pcd>};
}

}  // namespace retort
