#include "distill/methods/distiller.h"

#include <algorithm>

#include "distill/methods/standardize.h"

namespace retort {

namespace {

Outputs detached(Outputs outputs) {
  outputs.logits = outputs.logits.detached();
  outputs.pooled = outputs.pooled.detached();
  outputs.map = outputs.map.detached();
  for (Var& map : outputs.stages) map = map.detached();
  for (Var& map : outputs.pre_relu) map = map.detached();
  return outputs;
}

}  // namespace

Distiller::Distiller(const MethodSettings& settings, Device& device) : settings_(settings), device_(device) {
  // Without a teacher the cross-entropy is the method's own term.
  if (settings.method().reads.teacher) ce_weight_ = settings.number("ce_weight");
  if (settings.has("warmup")) warmup_epochs_ = settings.number("warmup");
  if (settings.has("standardize")) standardize_ = settings.flag("standardize");
  if (warmup_epochs_ > 0) warmup_ = device.scalar(std::min(1 / warmup_epochs_, 1.0));
}

void Distiller::begin_epoch(int epoch) {
  if (warmup_epochs_ > 0) device_.set(warmup_, std::min(epoch / warmup_epochs_, 1.0));
}

std::vector<LossTerm> Distiller::terms(const DistillInputs& inputs, const Pass& pass) {
  std::vector<LossTerm> all;
  check_inputs(inputs, true);
  if (ce_weight_ > 0) {
    Var ce = label_loss(inputs.logits.student, inputs.labels, pass);
    if (inputs.strong.student) ce = add(pass, ce, label_loss(inputs.strong.student, inputs.labels, pass));
    all.push_back({"ce", weighted(pass, ce, ce_weight_)});
  }
  for (LossTerm& term : distillation_terms(inputs, pass)) {
    if (warmup_epochs_ > 0) term.value = scale_by(pass, term.value, warmup_);
    all.push_back(std::move(term));
  }
  return all;
}

std::optional<FusedLoss> Distiller::fused(const DistillInputs& inputs, const Pass& pass, const Scalar* seed) {
  check_inputs(inputs, true);
  const Tensor& logits = inputs.logits.student;
  if (standardize_ || smoothing_ > 0 || inputs.strong.student || logits.type != DType::f32 ||
      logits.shape[0] == 0)
    return std::nullopt;
  FusedRows rows(Pass{pass.device}, logits, inputs.labels, ce_weight_,
                 warmup_epochs_ > 0 ? warmup_.value.as<double>() : nullptr,
                 seed ? seed->value.as<double>() : nullptr);
  if (!fuse(inputs, rows)) return std::nullopt;
  return rows.made();
}

std::vector<LossTerm> Distiller::distillation_terms(const DistillInputs& inputs, const Pass& pass) {
  check_inputs(inputs, settings_.method().reads.labels);
  DistillInputs constant_teacher = inputs;
  constant_teacher.logits.teacher = inputs.logits.teacher.detached();
  constant_teacher.strong.teacher = inputs.strong.teacher.detached();
  constant_teacher.features.teacher = detached(inputs.features.teacher);
  return compute(constant_teacher, pass);
}

Var Distiller::label_loss(const Var& logits, const Tensor& labels, const Pass& pass) const {
  const Var ce = cross_entropy(pass, logits, labels);
  if (smoothing_ == 0) return ce;
  const Var even = affine(pass, mean_all(pass, log_softmax(pass, logits)), -smoothing_);
  return add(pass, affine(pass, ce, 1 - smoothing_), even);
}

Logits Distiller::prepared(const Logits& logits, const Pass& pass) const {
  if (!standardize_) return logits;
  return {standardize(pass, logits.student), standardize(pass, logits.teacher)};
}

void Distiller::check_inputs(const DistillInputs& inputs, bool labels) const {
  const MethodInfo& method = settings_.method();
  const Var& student = inputs.logits.student;
  check(student.shape().rank() == 2 && student.shape().last() >= 1, method.name,
        ": the student's logits have shape ", student.shape(), ", expected B,C");
  const auto check_same = [&](const char* what, const Var& logits) {
    check(logits && logits.shape() == student.shape() && logits.type() == student.type(), method.name, ": ",
          what, " logits are ", logits.shape(), " ", logits.type(), ", the student's ", student.shape(), " ",
          student.type());
  };
  if (method.reads.teacher) check_same("the teacher's", inputs.logits.teacher);
  if (inputs.strong.student) {
    check(method.reads.two_views, method.name, " reads one view of the images, but was given two");
    check_same("the student's second", inputs.strong.student);
    check_same("the teacher's second", inputs.strong.teacher);
  }
  if (method.reads.features) {
    // A detector's are the levels of its pyramid, with nothing pooled.
    const auto given = [](const auto& of) { return of.pooled || !of.stages.empty(); };
    check(given(inputs.features.student) && given(inputs.features.teacher), method.name,
          " reads the features of both networks, but was given none");
  }
  const auto check_numbers = [&](const char* what, const Var& numbers) {
    check(numbers && numbers.type() == DType::i32 && numbers.tensor().size() == student.shape()[0],
          method.name, ": ", what, " are ", numbers.shape(), " ", numbers.type(),
          ", expected i32, one for each of ", student.shape()[0], " samples");
  };
  if (method.reads.indices) check_numbers("sample indices", inputs.indices);
  if (labels) check_numbers("labels", inputs.labels);
}

Var weighted(const Pass& pass, const Var& x, double weight) {
  return weight == 1 ? x : affine(pass, x, weight);
}

Var total(const std::vector<LossTerm>& terms, const Pass& pass) {
  check(!terms.empty(), "total: there are no terms");
  Var sum = terms[0].value;
  for (size_t i = 1; i < terms.size(); ++i) sum = add(pass, sum, terms[i].value);
  return sum;
}

}  // namespace retort
