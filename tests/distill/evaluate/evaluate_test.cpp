// An evaluation that several processes share is that of one.
#include "distill/evaluate/evaluate.h"

#include <gtest/gtest.h>

#include <cstring>

#include "datasets/open.h"
#include "layers/state.h"
#include "models/model.h"
#include "tests/support/thread_transport.h"

namespace retort {
namespace {

const DataSet& images() {
  static const DataSet set = open_dataset("synthetic:train=10,test=106");
  return set;
}

// As each of `ranks` processes gets it; 0: without a world.
std::vector<Evaluation> evaluations(int ranks, const EvaluateOptions& options, double weight = 1) {
  const auto evaluate = [&](Communicator* world) {
    const auto device = Device::open({.name = "portable", .threads = 1});
    const auto model = make_model("resnet8", *device, {.classes = images().test.classes});
    initialize(*model, *device, 1);
    if (weight != 1) {
      const NamedParameter first = parameters_of(*model).at(0);
      device->backend().fill(first.parameter->value, weight);
    }
    EvaluateOptions own = options;
    own.world = world;
    return Evaluator(*model, *device, images().test, own).run();
  };
  if (ranks == 0) return {evaluate(nullptr)};
  std::vector<Evaluation> found(size_t(ranks), Evaluation{});
  std::vector<int> failed(size_t(ranks), 0);
  testing::on_ranks(ranks, [&](Communicator& world) {
    try {
      found[size_t(world.rank())] = evaluate(&world);
    } catch (const Error& error) {
      failed[size_t(world.rank())] = int(error.fault());
    }
  });
  for (size_t i = 1; i < failed.size(); ++i) EXPECT_EQ(failed[i], failed[0]);
  if (failed[0] != 0) throw Error(Fault(failed[0]), "on all ranks");
  return found;
}

void expect_same(const Evaluation& one, const Evaluation& other, const std::string& where) {
  EXPECT_EQ(one.n, other.n) << where;
  EXPECT_EQ(one.top1, other.top1) << where;
  EXPECT_EQ(one.top5, other.top5) << where;
  EXPECT_EQ(std::memcmp(&one.loss, &other.loss, sizeof one.loss), 0)
      << where << ": " << one.loss << ", " << other.loss;
}

// Seven batches, the last of ten images; the last rank of nine has none.
TEST(Evaluate, IsTheSameBitsForAnyNumberOfProcesses) {
  const EvaluateOptions options{.batch = 16};
  const Evaluation alone = evaluations(0, options)[0];
  EXPECT_EQ(alone.n, 106);
  EXPECT_GT(alone.loss, 0);
  for (const int ranks : {1, 2, 3, 4, 7, 9})
    for (const Evaluation& one : evaluations(ranks, options))
      expect_same(one, alone, std::to_string(ranks) + " ranks");
}

TEST(Evaluate, OfChosenImagesToo) {
  EvaluateOptions options{.batch = 8};
  for (int32_t i = 0; i < 106; i += 3) options.samples.push_back(i);
  const Evaluation alone = evaluations(0, options)[0];
  EXPECT_EQ(alone.n, 36);
  for (const Evaluation& one : evaluations(2, options)) expect_same(one, alone, "2 ranks");
}

// All ranks fail, not the one alone that has met it.
TEST(Evaluate, NumbersThatOverflowFailOnAllRanks) {
  try {
    evaluations(2, {.batch = 16}, 1e38);
    ADD_FAILURE() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::diverged);
  }
}

TEST(Evaluate, EachRankReadsItsBatchesAlone) {
  int64_t done = 0;
  testing::on_ranks(2, [&](Communicator& world) {
    const bool first = world.rank() == 0;
    const auto device = Device::open({.name = "portable", .threads = 1});
    const auto model = make_model("resnet8", *device, {.classes = images().test.classes});
    initialize(*model, *device, 1);
    Evaluator evaluator(*model, *device, images().test, {.batch = 16, .world = &world});
    EXPECT_EQ(evaluator.loader().samples(), first ? 16 * 3 + 10 : 16 * 3);
    evaluator.run([&](int64_t batches, int64_t all) {
      EXPECT_EQ(all, first ? 4 : 3);
      if (first) done = batches;
    });
  });
  EXPECT_EQ(done, 4);
}

}  // namespace
}  // namespace retort
