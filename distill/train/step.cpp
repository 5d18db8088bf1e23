#include "distill/train/step.h"

#include <optional>

#include "distill/train/checkpoint.h"
#include "engine/branch/branch.h"

namespace retort {

TrainingStep::TrainingStep(StepParts parts)
    : parts_(std::move(parts)),
      totals_(parts_.device),
      graph_(parts_.device, parts_.capture, least_of(parts_.world)) {
  if (parts_.shards <= 1) return;
  Shards::Learner learner{parts_.optimizer, {&parts_.student, &parts_.distiller}};
  if (views_read(parts_.distiller.settings()) == 2) learner.modules_of_second_view = {&parts_.student};
  shards_ = std::make_unique<Shards>(parts_.device, learner, parts_.shards, parts_.world);
}

void TrainingStep::run(const Batch& batch, const Tensor& teacher_logits) {
  graph_.run(batch.size(), [&] { enqueue(batch, teacher_logits); });
}

void TrainingStep::enqueue(const Batch& batch, const Tensor& teacher_logits) {
  if (parts_.renderer) parts_.renderer->render(batch);
  const auto take_part = [&](const Part& part, double share) {
    take(part_of(batch, part), rows_of(teacher_logits, part), share);
  };
  shards_ ? shards_->run(batch.size(), take_part, totals_) : take(batch, teacher_logits, 1);
  parts_.optimizer.step();
  if (parts_.average) parts_.average->step();
  if (parts_.end) parts_.end();
}

// The gradients of a batch, or of a part that is this share of it.
void TrainingStep::take(const Batch& part, const Tensor& teacher_logits, double share) {
  Tape tape(parts_.device);
  const Pass pass{parts_.device, &tape, true};
  const DistillInputs inputs = forward(part, teacher_logits, pass);
  if (fused_loss(inputs, pass)) return;
  const std::vector<LossTerm> terms = parts_.distiller.terms(inputs, pass);
  const Var loss = total(terms, pass);
  if (shards_)
    shards_->note(loss, terms, inputs.logits.student, part.labels, pass);
  else
    totals_.add(loss, terms, inputs.logits.student, part.labels, pass);
  if (parts_.optimizer.has_two_gradients())
    take_two_gradients(terms, tape, pass, share);
  else
    tape.backward(of_share(loss, share, pass), parts_.optimizer.loss_scale());
  term_names_.clear();
  for (const LossTerm& term : terms) term_names_.push_back(term.name);
}

// Where a kernel is launched, one for all of the loss; on the host the terms themselves are as fast.
bool TrainingStep::fused_loss(const DistillInputs& inputs, const Pass& pass) {
  if (pass.backend().host_addressable() || shards_ || parts_.optimizer.has_two_gradients()) return false;
  const std::optional<FusedLoss> loss = parts_.distiller.fused(inputs, pass, parts_.optimizer.loss_scale());
  if (!loss) return false;
  totals_.add(*loss, pass);
  pass.tape->backward(inputs.logits.student, loss->gradient.tensor());
  term_names_ = loss->names;
  return true;
}

// One of the labels' loss, one of the teacher's terms. Where there are no labels' terms, the first pass
// reaches nothing.
void TrainingStep::take_two_gradients(const std::vector<LossTerm>& terms, Tape& tape, const Pass& pass,
                                      double share) {
  std::vector<LossTerm> of_labels, of_teacher;
  for (const LossTerm& term : terms) (term.name == "ce" ? of_labels : of_teacher).push_back(term);
  const Scalar* scale = parts_.optimizer.loss_scale();
  if (of_teacher.empty()) {
    tape.backward(of_share(total(of_labels, pass), share, pass), scale);
    return;
  }
  Var none = pass.make({1}, of_teacher[0].value.type());
  if (of_labels.empty()) pass.backend().fill(none, 0);
  const Var first = of_labels.empty() ? none : of_share(total(of_labels, pass), share, pass);
  const Var second = of_share(total(of_teacher, pass), share, pass);
  tape.backward(first, scale, true);
  parts_.optimizer.begin_second_gradient();
  tape.backward(second, scale);
}

DistillInputs TrainingStep::forward(const Batch& batch, const Tensor& teacher_logits, const Pass& pass) {
  const bool features = parts_.distiller.settings().method().reads.features;
  const Pass untaped{parts_.device};
  DistillInputs inputs;
  Outputs taught;
  std::optional<Branch> beside;  // the teacher runs beside the student, where the device can
  if (teacher_logits) {
    taught.logits = Var(teacher_logits);
  } else if (parts_.teacher) {
    beside.emplace(parts_.device);
    taught = parts_.teacher->run(Var(batch.other_images), untaped, features);
  }
  if (batch.strong) {
    if (!beside) beside.emplace(parts_.device);
    inputs.strong.teacher = (*parts_.teacher)(Var(batch.other_strong), untaped);
  }
  if (beside) beside->end();
  const Outputs own = parts_.student.run(Var(batch.images), pass, features);
  if (batch.strong) {  // after the first view: the running statistics move twice
    if (shards_) shards_->begin_second_view();
    inputs.strong.student = parts_.student(Var(batch.strong), pass);
  }
  if (beside) beside->join();
  inputs.logits = {own.logits, taught.logits};
  inputs.labels = Var(batch.labels);
  inputs.indices = Var(batch.indices);
  inputs.features = {own, taught};
  if (features) {
    const auto on_rows = [](Linear* classifier, const Pass& how) -> std::function<Var(const Var&)> {
      if (!classifier) return {};
      return [classifier, how](const Var& rows) { return (*classifier)(rows, how); };
    };
    inputs.classifiers = {on_rows(parts_.student.classifier(), pass),
                          on_rows(parts_.teacher->classifier(), untaped)};
  }
  return inputs;
}

}  // namespace retort
