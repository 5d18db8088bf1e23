// Steps of several processes, threads here, each with a device of its own: sums over NCCL's double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/cuda/cuda.h"
#include "engine/cuda/handles.h"
#include "engine/cuda/tree_sum.h"
#include "engine/distributed/tree.h"
#include "tests/cuda_emulation/libraries.h"
#include "tests/cuda_emulation/stream.h"
#include "tests/support/expect_error.h"
#include "tests/support/sharded_step.h"

namespace retort {
namespace {

using testing::ShardedOptions;
using testing::states_of;

// Enough of each size for a captured step and its replay; of three images one of four parts is empty.
const std::vector<int64_t> batches = {4, 4, 4, 3, 4, 3, 3, 4};

ShardedOptions on_cuda(const std::string& method) {
  ShardedOptions options{.method = method, .device = "cuda", .shards = 4};
  options.student = options.teacher = "resnet8";
  options.bucket_bytes = 100000;
  return options;
}

TEST(NcclSteps, AreTheSameBitsForAnyNumberOfProcesses) {
  for (const char* method : {"ce", "kd"}) {
    const std::vector<double> alone = states_of(1, on_cuda(method), batches)[0];
    for (const int ranks : {2, 4})
      for (const std::vector<double>& one : states_of(ranks, on_cuda(method), batches))
        EXPECT_TRUE(one == alone) << method << ", " << ranks << " processes";
  }
}

TEST(NcclSteps, OfTwoGradientsInTwoLevelsAreTheSameBits) {
  ShardedOptions options = on_cuda("kd");
  options.machine = 2;
  options.dot_delta = 0.2;
  const std::vector<double> alone = states_of(1, options, batches)[0];
  for (const std::vector<double>& one : states_of(4, options, batches)) EXPECT_TRUE(one == alone);
}

// Nearly the same numbers, in another order of sums; the same on all ranks.
TEST(NcclSteps, SummedFastAreTheSameOnAllRanks) {
  ShardedOptions options = on_cuda("ce");
  options.reduce = Reduce::fast;
  const std::vector<int64_t> few = {4, 3, 4};
  const std::vector<double> alone = states_of(1, options, few)[0];
  const std::vector<std::vector<double>> found = states_of(4, options, few);
  double largest = 0;
  for (size_t i = 0; i < alone.size(); ++i)
    largest = std::max(largest, std::abs(found[0][i] - alone[i]) / std::max(1.0, std::abs(alone[i])));
  EXPECT_LT(largest, 1e-2);
  for (const std::vector<double>& one : found) EXPECT_TRUE(one == found[0]);
}

// In a captured step there is work that neither waits for the first exchange nor is waited for by it: of as
// many processes as parts, and of half as many, in the last part of each.
class NcclExchange : public ::testing::TestWithParam<int> {};

TEST_P(NcclExchange, GoesOnBesideBackward) {
  states_of(GetParam(), on_cuda("ce"), {4, 4, 4});
  const std::vector<emulation::Node>& nodes = emulation::last_captured();
  const auto is_exchange = [](const emulation::Node& node) { return node.name.starts_with("nccl"); };
  const auto first = size_t(std::find_if(nodes.begin(), nodes.end(), is_exchange) - nodes.begin());
  ASSERT_LT(first, nodes.size());
  std::vector<bool> behind(nodes.size(), false), before(nodes.size(), false);
  behind[first] = before[first] = true;
  for (size_t i = first + 1; i < nodes.size(); ++i)
    for (const size_t after : nodes[i].after)
      if (behind[after]) behind[i] = true;
  for (size_t i = first + 1; i > 0; --i)
    if (before[i - 1])
      for (const size_t after : nodes[i - 1].after) before[after] = true;
  int beside = 0, exchanges = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    beside += !behind[i] && !before[i];
    exchanges += is_exchange(nodes[i]);
  }
  EXPECT_GE(beside, 10) << "of " << nodes.size() << " kernels";
  EXPECT_GE(exchanges, 2 * 4) << "a bucket has two, and there are the statistics";
}

INSTANTIATE_TEST_SUITE_P(OfProcesses, NcclExchange, ::testing::Values(4, 2));

// One of two leaves; the other one waits in NCCL, as a device would without end.
TEST(NcclSteps, ALostRankIsNotWaitedFor) {
  emulation::set_nccl_patience(0.2);
  const auto post = std::make_shared<testing::ThreadTransport::Post>(2);
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      Communicator world(std::make_unique<testing::ThreadTransport>(post, rank));
      const auto device = Device::open({.name = "cuda"});
      world.transport().set_time_limit(0.5);
      const std::shared_ptr<DeviceSum> sum = sum_over_gpus(device->backend(), world);
      if (rank == 1) return;
      const Array values = device->persistent({1000}, DType::f32, 1);
      sum->begin(values, {true, true});
      sum->join();
      try {
        read_values(*device, values);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_EQ(error.fault(), Fault::lost);
        testing::expect_contains(error.what(), "rank 1 of 2 has not answered for 0.5 s");
      }
    });
  }
  threads.clear();
  emulation::set_nccl_patience(60);
}

TEST(NcclSteps, EachProcessTakesItsOwnDevice) {
  emulation::set_devices(4);
  share_gpus(2, 4);
  Device::open({.name = "cuda"});
  EXPECT_EQ(emulation::chosen_device(), 2);
  share_gpus(2, 5);
  try {
    Device::open({.name = "cuda"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::device);
    testing::expect_contains(error.what(),
                             "5 processes were started on this machine, and 4 GPUs can be seen");
  }
  emulation::set_devices(1);  // what each sees may be another
  Device::open({.name = "cuda"});
  EXPECT_EQ(emulation::chosen_device(), 0);
  share_gpus(0, 1);
}

TEST(NcclSteps, TheKernelAddsInTheOrderOfTheTree) {
  const CudaStream stream;
  constexpr int64_t count = 37;
  const auto value = [](int rank, int64_t i) {
    return std::sin(float(rank * 7919 + i)) * std::exp(float(i % 23) - 11);
  };
  for (int ranks = 1; ranks <= 9; ++ranks) {
    for (uint64_t gives = 1; gives < (uint64_t{1} << ranks); gives += ranks < 5 ? 1 : 7) {
      std::vector<std::vector<float>> places(size_t(TreeSum::places_for(ranks)));
      TreeSum tree([&](int to, int from) {
        for (size_t i = 0; i < size_t(count); ++i) places[size_t(to)][i] += places[size_t(from)][i];
      });
      std::vector<float> slices(size_t(ranks * count));
      for (int rank = 0; rank < ranks; ++rank) {
        std::vector<float> own;
        for (int64_t i = 0; i < count; ++i) own.push_back(value(rank, i));
        const bool there = gives >> rank & 1;
        for (int64_t i = 0; i < count; ++i) slices[size_t(rank * count + i)] = there ? own[size_t(i)] : NAN;
        if (there) places[size_t(tree.place())] = own;
        there ? tree.push() : tree.skip();
      }
      ASSERT_TRUE(tree.finish());
      const int own_rank = ranks / 2;
      std::vector<float> own(slices.begin() + own_rank * count, slices.begin() + (own_rank + 1) * count);
      std::fill_n(slices.begin() + own_rank * count, count, NAN);
      ASSERT_EQ(tree_sum_kernel(stream.get(), own.data(), own_rank, slices.data(), count, ranks, gives),
                cudaSuccess);
      ASSERT_EQ(cudaStreamSynchronize(stream.get()), cudaSuccess);
      EXPECT_EQ(std::memcmp(own.data(), places[0].data(), count * sizeof(float)), 0)
          << ranks << " ranks, " << gives;
    }
  }
}

}  // namespace
}  // namespace retort
