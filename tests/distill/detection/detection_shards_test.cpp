// A detector's step in parts: what its parts give alone, and the same bits for every number of processes.
#include <gtest/gtest.h>

#include <cmath>

#include "distill/detection/detection_evaluator.h"
#include "distill/train/checkpoint.h"
#include "tests/support/detector_training.h"
#include "tests/support/state_numbers.h"
#include "tests/support/thread_transport.h"

namespace retort {
namespace {

using Training = testing::DetectorTraining;

std::vector<double> state_of_all(Training& run) {
  return testing::state_numbers({run.student.get(), run.distiller.get()}, *run.device);
}

std::unique_ptr<Shards> shards_of(Training& run, int count, Communicator* world = nullptr) {
  const Shards::Learner learner{*run.optimizer, {run.student.get(), run.distiller.get()}};
  return std::make_unique<Shards>(*run.device, learner, count, world);
}

// What a step learns from the first pictures of the first batch.
struct Learned {
  std::vector<double> state;
  MetricTotals::Values totals;
};
Learned learned(const std::string& method, int64_t images, const Part& part, int shards) {
  Training run(method);
  run.distiller->begin_epoch(1);
  run.loader.begin_epoch(1);
  const std::unique_ptr<Shards> parts = shards > 1 ? shards_of(run, shards) : nullptr;
  DetectionStep step = run.step(parts.get());
  step.run(part_of(part_of(*run.loader.next(), {0, images}), part), 1);
  return {state_of_all(run), step.totals().read()};
}

// start + sum over parts of share (what the part alone ends at - start).
void expect_sum_of_parts(const std::string& method, int shards, int64_t images) {
  Training untouched(method);
  const std::vector<double> start = state_of_all(untouched);
  const Learned together = learned(method, images, {0, images}, shards);
  std::vector<double> expected = start, bound(start.size(), 0);
  double loss = 0;
  for (int i = 0; i < shards; ++i) {
    const Part part = part_of(images, shards, i);
    if (part.count == 0) continue;
    const Learned alone = learned(method, images, part, 1);
    for (size_t k = 0; k < start.size(); ++k) {
      const double moved = (alone.state[k] - start[k]) * double(part.count) / double(images);
      expected[k] += moved;
      bound[k] +=
          2e-6 * std::max({1.0, std::abs(alone.state[k]), std::abs(start[k])}) + 1e-3 * std::abs(moved);
    }
    loss += alone.totals.loss;  // a sum over images
  }
  int wrong = 0, moved = 0;
  for (size_t k = 0; k < start.size(); ++k) {
    wrong += !(std::abs(together.state[k] - expected[k]) <= bound[k]);
    moved += together.state[k] != start[k];
  }
  EXPECT_EQ(wrong, 0) << "of " << start.size() << " numbers, " << method;
  EXPECT_GT(moved, int(start.size() / 2)) << method;
  EXPECT_NEAR(together.totals.loss, loss, 1e-5 * std::abs(loss)) << method;
  EXPECT_EQ(together.totals.top1, 0);
}

TEST(DetectionShards, AreTheSumOfTheirParts) {
  for (const char* method : {"ce", "kd", "pcd", "reviewkd"}) expect_sum_of_parts(method, 2, 6);
}

TEST(DetectionShards, MayBeEmpty) {
  expect_sum_of_parts("pcd", 4, 3);
}

// Eleven pictures in batches of eight, wide and tall ones apart: the last batches leave processes without
// any.
TEST(DetectionShards, OfAnyNumberOfProcesses) {
  for (const char* method : {"ce", "pcd"}) {
    std::vector<double> alone;
    for (const int ranks : {1, 2, 4}) {
      std::vector<std::vector<double>> found(size_t(ranks), std::vector<double>{});
      testing::on_ranks(ranks, [&](Communicator& world) {
        Training run(method, 1, 11);
        DetectionLoaderOptions options = run.loading();
        options.parts = 4;
        options.own = parts_of_process(4, ranks, world.rank());
        DetectionLoader loader(run.data.train, options);
        const std::unique_ptr<Shards> parts = shards_of(run, 4, ranks > 1 ? &world : nullptr);
        DetectionStep step = run.step(parts.get());
        run.distiller->begin_epoch(1);
        loader.begin_epoch(1);
        while (const HostDetections* batch = loader.next()) step.run(*batch, 1);
        std::vector<double>& all = found[size_t(world.rank())];
        all = state_of_all(run);
        const MetricTotals::Values totals = step.totals().read();
        all.push_back(totals.loss);
        all.insert(all.end(), totals.terms.begin(), totals.terms.end());
      });
      if (alone.empty()) alone = found[0];
      for (const std::vector<double>& one : found) EXPECT_TRUE(one == alone) << method << ", " << ranks;
    }
  }
}

TEST(DetectionShards, ProcessesShareThePicturesToTest) {
  using Numbers = std::vector<double>;
  Numbers alone;
  for (const int ranks : {1, 3}) {
    std::vector<Numbers> found(size_t(ranks), Numbers{});
    testing::on_ranks(ranks, [&](Communicator& world) {
      Training run("ce", 1, 9);
      DetectionEvaluator evaluator(
          *run.student, *run.device, run.data.train,
          {.batch = 2, .training = false, .workers = 0, .normalize = run.normalize()},
          ranks > 1 ? &world : nullptr);
      int64_t all = 0;
      const std::vector<CocoDetection> detections =
          evaluator.detect([&](int64_t, int64_t total) { all = total; });
      EXPECT_LE(all, ranks > 1 ? 5 : 9);
      Numbers& own = found[size_t(world.rank())];
      for (const CocoDetection& d : detections)
        own.insert(own.end(), {double(d.image), double(d.category), d.box.x, d.box.y, d.box.width,
                               d.box.height, d.score});
    });
    if (alone.empty()) alone = found[0];
    EXPECT_FALSE(alone.empty());
    for (const Numbers& one : found) EXPECT_TRUE(one == alone) << ranks;
  }
}

}  // namespace
}  // namespace retort
