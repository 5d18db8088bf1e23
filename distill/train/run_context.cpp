#include "distill/train/run_context.h"

#include "models/borrowed_classifier.h"

namespace retort {

std::unique_ptr<Model> make_student(const RunSettings& settings, const Model* teacher, const ImageSet& images,
                                    Device& device) {
  const bool borrows = settings.method.method().reads.borrows_classifier && teacher;
  return make_model(settings.model + (borrows ? "+" + teacher->name : ""), device,
                    {.classes = images.classes,
                     .side = images.height,
                     .double_batch_norm = settings.double_batch_norm});
}

void borrow_classifier(Model& student, Model* teacher, Device& device) {
  if (auto* borrower = dynamic_cast<BorrowedClassifier*>(&student); borrower && teacher)
    borrower->borrow(*teacher, device);
}

MethodContext method_context(const RunSettings& settings, Model& student, Model* teacher, Device& device,
                             const ImageSet& images, const std::vector<int32_t>& samples) {
  MethodContext context;
  context.seed = settings.seed;
  context.epochs = settings.epochs;
  const MethodInfo::Reads& reads = settings.method.method().reads;
  if (reads.features) {
    context.student = feature_shapes(student, device);
    context.teacher = feature_shapes(*teacher, device);
    context.teacher_norms = stage_norms(*teacher, device);
  }
  if (reads.class_similarity)
    context.class_similarity.assign(size_t(images.classes) * size_t(images.classes), 0.0);
  if (reads.indices) {
    context.labels = images.labels;
    context.samples = samples;
  }
  return context;
}

}  // namespace retort
