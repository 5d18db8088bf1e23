// A step in parts gives what its parts give alone: gradients, statistics and totals.
#include "distill/train/shards.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <optional>
#include <thread>

#include "distill/methods/registry.h"
#include "distill/train/checkpoint.h"
#include "distill/train/step.h"
#include "layers/state.h"
#include "models/model.h"
#include "tests/support/class_similarity.h"
#include "tests/support/thread_transport.h"

namespace retort {
namespace {

constexpr int64_t classes = 10;

struct Options {
  std::string method = "kd", device = "portable";
  int shards = 1;
  bool strong = false;
  std::optional<double> dot_delta = {};
  std::string student = "resnet8", teacher = "resnet14";
  Communicator* world = nullptr;
};

// Networks and images from constants. A step moves the weights by the gradient itself.
struct Step {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> student, teacher;
  std::unique_ptr<Distiller> distiller;
  std::unique_ptr<Sgd> optimizer;
  std::unique_ptr<TrainingStep> step;
  Array images, strong, labels, indices;

  Step(const Options& options, int64_t batch) : device(Device::open({.name = options.device, .threads = 2})) {
    student = make_model(options.student, *device, {.classes = classes});
    teacher = make_model(options.teacher, *device, {.classes = classes});
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
    if (settings.method().reads.class_similarity) context.class_similarity = some_class_similarity(classes);
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
    for (int64_t i = 0; i < batch; ++i) numbers[size_t(i)] = int32_t(i * 7 % classes);
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
    std::vector<double> all;
    for (Module* module : {static_cast<Module*>(student.get()), static_cast<Module*>(distiller.get())}) {
      for (const HostTensor& tensor : state_of(*module, *device)) {
        const auto* values = reinterpret_cast<const float*>(tensor.data.data());
        all.insert(all.end(), values, values + tensor.data.size() / sizeof(float));
      }
    }
    return all;
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

// start + sum over parts of share (what the part alone ends at - start).
void expect_sum_of_parts(Options options, int64_t images) {
  const int shards = options.shards;
  Step together(options, images);
  const std::vector<double> start = together.state();
  together.run({0, images});
  const std::vector<double> found = together.state();
  const MetricTotals::Values totals = together.step->totals().read();
  options.shards = 1;
  std::vector<double> expected = start, bound(start.size(), 0);
  double loss = 0, right = 0;
  for (int i = 0; i < shards; ++i) {
    const Part part = part_of(images, shards, i);
    if (part.count == 0) continue;
    Step alone(options, images);
    alone.run(part);
    const std::vector<double> end = alone.state();
    for (size_t k = 0; k < start.size(); ++k) {
      const double moved = (end[k] - start[k]) * double(part.count) / double(images);
      expected[k] += moved;
      // A share scales the loss, so that every number behind it rounds otherwise.
      bound[k] += 2e-6 * std::max({1.0, std::abs(end[k]), std::abs(start[k])}) + 1e-3 * std::abs(moved);
    }
    loss += alone.step->totals().read().loss;
    right += alone.step->totals().read().top1;
  }
  ASSERT_EQ(found.size(), expected.size());
  int wrong = 0;
  for (size_t k = 0; k < found.size(); ++k) wrong += !(std::abs(found[k] - expected[k]) <= bound[k]);
  EXPECT_EQ(wrong, 0) << "of " << found.size() << " numbers, " << options.method;
  EXPECT_NEAR(totals.loss, loss, 1e-5 * std::abs(loss)) << options.method;
  EXPECT_EQ(totals.top1, right) << options.method;
}

class ShardedStep : public ::testing::TestWithParam<std::string> {};

TEST_P(ShardedStep, IsTheSumOfItsParts) {
  expect_sum_of_parts({.method = GetParam(), .shards = 4}, 18);
}

INSTANTIATE_TEST_SUITE_P(Methods, ShardedStep,
                         ::testing::Values("ce", "kd", "dkd", "dist", "ctkd", "tfkd-reg", "wttm", "wkd-l",
                                           "sp", "pkt", "nst", "vid", "ofd", "kdsvd", "sdd-kd", "pcd",
                                           "fitnet", "at", "rkd", "reviewkd"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(ShardedStep, OfTwoViewsMovesTheStatisticsTwice) {
  // One view behind the other: 0.9 (0.9 r + 0.1 a) + 0.1 b, of a and b that are sums over parts.
  Options options{.method = "mlkd", .shards = 2, .strong = true};
  expect_sum_of_parts(options, 8);
}

TEST(ShardedStep, OfTwoGradients) {
  expect_sum_of_parts({.method = "kd", .shards = 4, .dot_delta = 0.2}, 9);
}

TEST(ShardedStep, OfAnyNumberOfPartsSomeEmpty) {
  for (const int shards : {2, 3, 5, 7}) expect_sum_of_parts({.method = "kd", .shards = shards}, 7);
  expect_sum_of_parts({.method = "kd", .shards = 8}, 5);
}

TEST(ShardedStep, OfEveryFamily) {
  for (const char* student : {"wrn_16_1", "vgg8", "ShuffleV1", "MobileNetV2"}) {
    Options options{.method = "pcd", .shards = 2};
    options.student = student;
    expect_sum_of_parts(options, 6);
  }
}

// The promise: the same bits for every number of processes, in a step whose last parts are empty too.
TEST(ShardedStep, OfAnyNumberOfProcesses) {
  for (const char* method : {"ce", "kd", "pcd", "dist"}) {
    for (const int shards : {4, 6}) {
      std::vector<double> alone;
      for (int ranks : {1, 2, 3, 4, 6}) {
        if (ranks > 1 && (shards % ranks != 0 || !std::has_single_bit(unsigned(shards / ranks)))) continue;
        const auto post = std::make_shared<testing::ThreadTransport::Post>(ranks);
        std::vector<std::vector<double>> found(size_t(ranks), std::vector<double>{});
        {
          std::vector<std::jthread> threads;
          for (int rank = 0; rank < ranks; ++rank) {
            threads.emplace_back([&, rank] {
              Communicator world(std::make_unique<testing::ThreadTransport>(post, rank));
              Options options{.method = method, .shards = shards};
              if (ranks > 1) options.world = &world;
              Step step(options, 14);
              for (const int64_t images : {3, 14, 13, 2}) step.run({0, images});
              std::vector<double>& all = found[size_t(rank)];
              all = step.state();
              const MetricTotals::Values totals = step.step->totals().read();
              all.insert(all.end(), {totals.loss, totals.top1, totals.top5});
              all.insert(all.end(), totals.terms.begin(), totals.terms.end());
            });
          }
        }
        if (alone.empty()) alone = found[0];
        for (const std::vector<double>& one : found)
          EXPECT_TRUE(one == alone) << method << ", " << shards << " parts, " << ranks << " processes";
      }
    }
  }
}

TEST(ShardedStep, RepeatsItsAddressesSoThatItCanBeCaptured) {
  Step step({.method = "pcd", .shards = 4}, 10);
  std::vector<uint64_t> traces;
  for (int i = 0; i < 4; ++i) {
    step.run({0, 10});
    traces.push_back(step.device->step_arena().trace());
  }
  EXPECT_TRUE(step.device->step_arena().steady());
  EXPECT_EQ(traces[2], traces[3]);
}

}  // namespace
}  // namespace retort
