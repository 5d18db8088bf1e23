// The parts of the CUDA backend that are arithmetic on the host: they need no device and no toolkit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "engine/cuda/bitonic.h"
#include "engine/cuda/cuda.h"
#include "engine/cuda/row_launch.h"
#include "engine/cuda/staging_ring.h"
#include "engine/device.h"
#include "engine/random.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_fault;

// A device that copies late: what is enqueued runs when somebody waits for it, at the latest.
struct LateStream {
  struct Copy {
    char* to;
    const char* from;
    size_t bytes;
  };
  std::vector<Copy> queue;
  size_t done = 0;
  int waits = 0;

  void run_to(size_t end) {
    for (; done < end; ++done) std::memcpy(queue[done].to, queue[done].from, queue[done].bytes);
  }
};

struct LateFence {
  LateStream* stream = nullptr;
  size_t mark = 0;
  void record(LateStream* s) {
    stream = s;
    mark = s->queue.size();
  }
  void wait() {
    ++stream->waits;
    stream->run_to(mark);
  }
};

TEST(StagingRing, NothingInFlightIsOverwritten) {
  constexpr size_t slots = 3, slot_bytes = 16;
  std::vector<char> memory(slots * slot_bytes);
  LateStream stream;
  StagingRing<LateFence, LateStream*> ring(memory.data(), slot_bytes, std::vector<LateFence>(slots));
  std::vector<std::vector<char>> arrived, sent;
  for (size_t i = 0; i < 20; ++i) arrived.emplace_back(i * 7, '?');  // of none, one and several slots
  for (size_t i = 0; i < 20; ++i) {
    std::vector<char> host(i * 7);
    for (size_t j = 0; j < host.size(); ++j) host[j] = char('a' + (i + j) % 26);
    sent.push_back(host);
    ring.upload(host.data(), host.size(), &stream, [&](size_t offset, const char* slot, size_t bytes) {
      stream.queue.push_back({arrived[i].data() + offset, slot, bytes});
    });
    std::fill(host.begin(), host.end(), '!');  // the caller's again
  }
  EXPECT_GT(stream.waits, 0);
  EXPECT_LT(stream.done, stream.queue.size()) << "the last uploads need no waiting";
  stream.run_to(stream.queue.size());
  EXPECT_EQ(arrived, sent);
}

TEST(StagingRing, DoesNotWaitBeforeItIsFull) {
  std::vector<char> memory(4 * 8);
  LateStream stream;
  StagingRing<LateFence, LateStream*> ring(memory.data(), 8, std::vector<LateFence>(4));
  const char host[32] = {};
  char device[32];
  ring.upload(host, 32, &stream, [&](size_t offset, const char* slot, size_t bytes) {
    stream.queue.push_back({device + offset, slot, bytes});
  });
  EXPECT_EQ(stream.waits, 0);
  EXPECT_EQ(stream.queue.size(), 4u);
}

TEST(BitonicSort, SortsAnyNumberOfNumbers) {
  for (int64_t n : {0, 1, 2, 3, 5, 31, 32, 33, 100, 257, 300, 1000, 1024, 1025}) {
    std::vector<uint64_t> numbers(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i)
      numbers[size_t(i)] = random4(3, Purpose::weights, 0, uint32_t(i), uint32_t(n)).v[0] % 512;
    std::vector<uint64_t> expected = numbers;
    std::sort(expected.begin(), expected.end());
    for (int64_t size = 2; size / 2 < n; size *= 2) {
      for (int64_t step = size / 2; step > 0; step /= 2) {
        std::vector<int> touched(static_cast<size_t>(n), 0);
        for (int64_t pair = 0;; ++pair) {
          const Comparison c = bitonic_comparison(pair, size, step);
          if (c.low >= n) break;
          if (c.high >= n) continue;
          ASSERT_LT(c.low, c.high);
          // Lanes compare at the same time: no number may be in two comparisons of a stage.
          ASSERT_EQ(touched[size_t(c.low)]++, 0);
          ASSERT_EQ(touched[size_t(c.high)]++, 0);
          if (numbers[size_t(c.high)] < numbers[size_t(c.low)])
            std::swap(numbers[size_t(c.high)], numbers[size_t(c.low)]);
        }
      }
    }
    EXPECT_EQ(numbers, expected) << n;
  }
}

TEST(RowLaunch, EveryRowHasAWarpAndBlocksTheirMemory) {
  for (int64_t rows : {1, 7, 64, 1023, 1024, 1025, 65536}) {
    for (int64_t scratch : {0, 64, 6400, 48 * 1024, 200 * 1024}) {
      const RowLaunch launch = row_launch(rows, scratch);
      EXPECT_GE(launch.blocks * launch.warps, rows);
      EXPECT_LT((launch.blocks - 1) * launch.warps, rows);
      EXPECT_EQ(launch.shared_bytes, launch.warps * scratch);
      // A row that needs more than is had without asking is alone in its block.
      EXPECT_TRUE(launch.shared_bytes <= shared_without_asking || launch.warps == 1);
    }
  }
}

TEST(Cuda, SaysWhatIsMissing) {
  const std::string missing = cuda_missing();
  if (missing.empty()) GTEST_SKIP() << "nothing is missing";
  expect_fault(Fault::device, missing, [] { make_cuda({}); });
  expect_fault(Fault::device, "device cuda: ", [] { Device::open({.name = "cuda"}); });
  EXPECT_NE(Device::open({.name = "auto"})->backend().name(), "cuda");
  for (const std::string& name : available_devices()) EXPECT_NE(name, "cuda");
}

}  // namespace
}  // namespace retort
