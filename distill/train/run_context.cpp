#include "distill/train/run_context.h"

namespace retort {

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
