// A step in parts, on networks and images from constants, by one process or by several that are threads.
#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "distill/methods/registry.h"
#include "distill/train/checkpoint.h"
#include "distill/train/shards.h"
#include "distill/train/step.h"
#include "models/model.h"
#include "tests/support/class_similarity.h"
#include "tests/support/state_numbers.h"
#include "tests/support/thread_transport.h"

namespace retort::testing {

constexpr int64_t sharded_classes = 10;

struct ShardedOptions {
  std::string method = "kd", device = "portable";
  int shards = 1;
  bool strong = false;
  std::optional<double> dot_delta = {};
  std::string student = "resnet8", teacher = "resnet14";
  Communicator* world = nullptr;
  Reduce reduce = Reduce::ordered;  // of states_of()
  int64_t bucket_bytes = 8 << 20;
  int machine = 1;  // ranks on one
};

// Networks and images from constants. A step moves the weights by the gradient itself.
struct ShardedStep {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> student, teacher;
  std::unique_ptr<Distiller> distiller;
  std::unique_ptr<Sgd> optimizer;
  std::unique_ptr<TrainingStep> step;
  Array images, strong, labels, indices;

  ShardedStep(const ShardedOptions& options, int64_t batch)
      : device(Device::open({.name = options.device, .threads = 2})) {
    student = make_model(options.student, *device, {.classes = sharded_classes});
    teacher = make_model(options.teacher, *device, {.classes = sharded_classes});
    initialize(*student, *device, 1);
    initialize(*teacher, *device, 2);
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
    MethodSettings settings = method_settings(options.method);
    if (options.method == "mlkd") settings.set("views", options.strong ? "2" : "1");
    MethodContext context;
    context.epochs = 20;
    context.student = feature_shapes(*student, *device);
    context.teacher = feature_shapes(*teacher, *device);
    context.teacher_norms = stage_norms(*teacher, *device);
    if (settings.method().reads.class_similarity)
      context.class_similarity = some_class_similarity(sharded_classes);
    distiller = make_distiller(settings, *device, context);
    initialize(*distiller, *device, 3);
    distiller->begin_epoch(5);
    SgdOptions how{.learning_rate = 1, .momentum = 0, .weight_decay = 0};
    if (options.dot_delta) how.momentum = 0.5, how.dot_delta = options.dot_delta;
    optimizer = std::make_unique<Sgd>(*device, learned_parameters(*student, *distiller), how);
    images = pictures(batch, 0.37);
    strong = pictures(batch, 0.41);
    labels = device->persistent({batch}, DType::i32);
    indices = device->persistent({batch}, DType::i32);
    std::vector<int32_t> numbers(size_t(batch), 0);
    for (int64_t i = 0; i < batch; ++i) numbers[size_t(i)] = int32_t(i * 7 % sharded_classes);
    device->backend().upload(labels, numbers.data());
    step = std::make_unique<TrainingStep>(StepParts{.device = *device,
                                                    .student = *student,
                                                    .distiller = *distiller,
                                                    .optimizer = *optimizer,
                                                    .teacher = teacher.get(),
                                                    .shards = options.shards,
                                                    .world = options.world});
    with_strong = options.strong;
  }

  void run(const Part& part) {
    Batch batch;
    batch.images = batch.other_images = images.tensor;
    if (with_strong) batch.strong = batch.other_strong = strong.tensor;
    batch.labels = labels.tensor;
    batch.indices = indices.tensor;
    step->run(part_of(batch, part));
  }

  std::vector<double> state() {  // weights, statistics, and what the method learns
    return state_numbers({student.get(), distiller.get()}, *device);
  }

 private:
  Array pictures(int64_t batch, double pace) {
    const Array to = device->persistent({batch, 32, 32, 3}, DType::f32);
    std::vector<double> pixels;
    for (int64_t i = 0; i < to.tensor.size(); ++i)
      pixels.push_back(std::sin(pace * double(i)) + std::cos(0.011 * double(i)));
    write_values(*device, to, pixels);
    return to;
  }
  bool with_strong = false;
};

// Steps of so many images each, by this many processes. What each has in the end: its state(), then the
// totals.
inline std::vector<std::vector<double>> states_of(int ranks, const ShardedOptions& options,
                                                  const std::vector<int64_t>& batches) {
  const int64_t largest = *std::max_element(batches.begin(), batches.end());
  std::vector<std::vector<double>> found(size_t(ranks), std::vector<double>{});
  on_ranks(ranks, [&](Communicator& world) {
    world.set_reduce(options.reduce);
    world.set_bucket_bytes(options.bucket_bytes);
    world.set_machine(std::min(options.machine, ranks));
    ShardedOptions own = options;
    if (ranks > 1) own.world = &world;
    ShardedStep step(own, largest);
    for (const int64_t images : batches) step.run({0, images});
    std::vector<double>& all = found[size_t(world.rank())];
    all = step.state();
    const MetricTotals::Values totals = step.step->totals().read();
    all.insert(all.end(), {totals.loss, totals.top1, totals.top5});
    all.insert(all.end(), totals.terms.begin(), totals.terms.end());
  });
  return found;
}

}  // namespace retort::testing
