// A step in parts gives what its parts give alone: gradients, statistics and totals.
#include "distill/train/shards.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/support/sharded_step.h"

namespace retort {
namespace {

using testing::ShardedOptions;
using testing::states_of;
using Step = testing::ShardedStep;

// start + sum over parts of share (what the part alone ends at - start).
void expect_sum_of_parts(ShardedOptions options, int64_t images) {
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
  ShardedOptions options{.method = "mlkd", .shards = 2, .strong = true};
  expect_sum_of_parts(options, 8);
}

TEST(ShardedStep, OfTwoGradients) {
  expect_sum_of_parts({.method = "kd", .shards = 4, .dot_delta = 0.2}, 9);
}

TEST(ShardedStep, OfAnyNumberOfPartsSomeEmpty) {
  for (const int shards : {2, 3, 5, 7}) expect_sum_of_parts({.method = "kd", .shards = shards}, 7);
  expect_sum_of_parts({.method = "kd", .shards = 8}, 5);
}

// Of three images one of four processes has none.
TEST(ShardedStep, OfTwoGradientsByAnyNumberOfProcesses) {
  const ShardedOptions options{.method = "kd", .shards = 4, .dot_delta = 0.2};
  const std::vector<double> alone = states_of(1, options, {6, 3, 6})[0];
  for (const int ranks : {2, 4})
    for (const std::vector<double>& one : states_of(ranks, options, {6, 3, 6}))
      EXPECT_TRUE(one == alone) << ranks;
}

TEST(ShardedStep, OfEveryFamily) {
  for (const char* student : {"wrn_16_1", "vgg8", "ShuffleV1", "MobileNetV2"}) {
    ShardedOptions options{.method = "pcd", .shards = 2};
    options.student = student;
    expect_sum_of_parts(options, 6);
  }
}

// The promise: the same bits for every number of processes, in a step whose last parts are empty too.
TEST(ShardedStep, OfAnyNumberOfProcesses) {
  for (const char* method : {"ce", "kd", "pcd", "dist"}) {
    for (const int shards : {4, 6}) {
      std::vector<double> alone;
      const ShardedOptions options{.method = method, .shards = shards};
      for (int ranks : {1, 2, 3, 4, 6}) {
        if (ranks > 1 && (shards % ranks != 0 || !std::has_single_bit(unsigned(shards / ranks)))) continue;
        const std::vector<std::vector<double>> found = states_of(ranks, options, {3, 14, 13, 2});
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
