#include "distill/train/step.h"

namespace retort {

TrainingStep::TrainingStep(StepParts parts)
    : parts_(std::move(parts)), totals_(parts_.device), graph_(parts_.device, parts_.capture) {}

void TrainingStep::run(const Batch& batch, const Tensor& teacher_logits) {
  graph_.run(batch.size(), [&] { enqueue(batch, teacher_logits); });
}

void TrainingStep::enqueue(const Batch& batch, const Tensor& teacher_logits) {
  if (parts_.renderer) parts_.renderer->render(batch);
  Tape tape(parts_.device);
  const Pass pass{parts_.device, &tape, true};
  const DistillInputs inputs = forward(batch, teacher_logits, pass);
  const std::vector<LossTerm> terms = parts_.distiller.terms(inputs, pass);
  const Var loss = total(terms, pass);
  totals_.add(loss, terms, inputs.logits.student, batch.labels, pass);
  if (parts_.optimizer.has_two_gradients())
    take_two_gradients(terms, tape, pass);
  else
    tape.backward(loss, parts_.optimizer.loss_scale());
  parts_.optimizer.step();
  if (parts_.average) parts_.average->step();

  term_names_.clear();
  for (const LossTerm& term : terms) term_names_.push_back(term.name);
  if (parts_.end) parts_.end();
}

// One of the labels' loss, one of the teacher's terms. Where there are no labels' terms, the first pass
// reaches nothing.
void TrainingStep::take_two_gradients(const std::vector<LossTerm>& terms, Tape& tape, const Pass& pass) {
  std::vector<LossTerm> of_labels, of_teacher;
  for (const LossTerm& term : terms) (term.name == "ce" ? of_labels : of_teacher).push_back(term);
  const Scalar* scale = parts_.optimizer.loss_scale();
  if (of_teacher.empty()) {
    tape.backward(total(of_labels, pass), scale);
    return;
  }
  Var none = pass.make({1}, of_teacher[0].value.type());
  if (of_labels.empty()) pass.backend().fill(none, 0);
  const Var first = of_labels.empty() ? none : total(of_labels, pass), second = total(of_teacher, pass);
  tape.backward(first, scale, true);
  parts_.optimizer.begin_second_gradient();
  tape.backward(second, scale);
}

DistillInputs TrainingStep::forward(const Batch& batch, const Tensor& teacher_logits, const Pass& pass) {
  const bool features = parts_.distiller.settings().method().reads.features;
  const Pass untaped{parts_.device};
  Outputs taught;
  if (teacher_logits)
    taught.logits = Var(teacher_logits);
  else if (parts_.teacher)
    taught = parts_.teacher->run(Var(batch.other_images), untaped, features);
  const Outputs own = parts_.student.run(Var(batch.images), pass, features);

  DistillInputs inputs;
  inputs.logits = {own.logits, taught.logits};
  if (batch.strong) {  // after the first view: the running statistics move twice
    inputs.strong.student = parts_.student(Var(batch.strong), pass);
    inputs.strong.teacher = (*parts_.teacher)(Var(batch.other_strong), untaped);
  }
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
