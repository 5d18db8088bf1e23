#include "distill/train/smallest_batch.h"

#include <algorithm>
#include <cmath>

#include "distill/methods/registry.h"
#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "distill/train/step.h"
#include "engine/base/text.h"

namespace retort {

namespace {

// The loss of the first sample alone.
double loss_of_one(const RunSettings& settings, const ImageSet& images, const std::vector<int32_t>& samples,
                   const Model* like) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  std::unique_ptr<Model> teacher;
  if (like) {
    teacher = make_model(like->name, *device, {.classes = images.classes, .side = images.height});
    initialize(*teacher, *device, 2);
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
  }
  const auto student = make_student(settings, teacher.get(), images, *device);
  initialize(*student, *device, 1);
  const auto distiller = make_distiller(
      settings.method, *device, method_context(settings, *student, teacher.get(), *device, images, samples));
  initialize(*distiller, *device, 1);
  distiller->begin_epoch(1);
  Sgd optimizer(*device, learned_parameters(*student, *distiller), SgdOptions{});
  TrainingStep step({.device = *device,
                     .student = *student,
                     .distiller = *distiller,
                     .optimizer = optimizer,
                     .teacher = teacher.get()});

  const Array image = device->persistent({1, images.height, images.width, images.channels}, DType::f32);
  const Array numbers = device->persistent({2}, DType::i32);
  std::vector<double> pixels;
  // In place of a photo, which may be a bad one: noise.
  const auto byte = [&](int64_t i) {
    return images.in_memory() ? images.image(samples.at(0))[i] : uint8_t(uint32_t(i) * 2654435761u >> 24);
  };
  for (int64_t i = 0; i < images.image_bytes(); ++i) pixels.push_back(byte(i) / 255.0 - 0.5);
  write_values(*device, image, pixels);
  int32_t* label = numbers.tensor.as<int32_t>();
  label[0] = images.labels[size_t(samples[0])];
  label[1] = samples[0];
  Batch batch{.images = image.tensor,
              .labels = {label, {1}, DType::i32},
              .indices = {label + 1, {1}, DType::i32},
              .views = {},
              .strong = {},
              .other_images = image.tensor,
              .other_strong = {}};
  if (views_read(settings.method) == 2) batch.strong = batch.other_strong = image.tensor;
  step.run(batch);
  return step.totals().read().loss;
}

}  // namespace

void check_smallest_batch(const RunSettings& settings, const ImageSet& images,
                          const std::vector<int32_t>& samples, const Model* teacher) {
  const auto count = int64_t(samples.size());
  const int shards = std::max(settings.shards, 1);
  const auto leaves_one = [&](int64_t batch) {  // image in some part of it
    for (int i = 0; i < shards; ++i)
      if (part_of(batch, shards, i).count == 1) return true;
    return false;
  };
  if (!leaves_one(count % settings.batch) && !leaves_one(std::min(settings.batch, count))) return;
  std::string why = "its loss is not a number";
  try {
    if (std::isfinite(loss_of_one(settings, images, samples, teacher))) return;
  } catch (const Error& error) {
    if (error.fault() == Fault::memory) throw;
    why = error.what();
  }
  fail(Fault::usage, settings.model, " with method ", settings.method.method().name,
       " cannot be trained with a batch of one image, and ", count, " images in batches of ", settings.batch,
       shards > 1 ? text(" and ", shards, " parts (shards)") : std::string(), " leave one: ", why,
       "; choose another --batch or --limit");
}

}  // namespace retort
