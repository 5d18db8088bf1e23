// Kernels whose blocks wait for each other, and kernels that begin before the one ahead has ended: the
// emulation's barriers and what it refuses, and batch norm, whose bits are the same however it is launched.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/cuda/kernels.h"
#include "engine/device.h"
#include "tests/cuda_emulation/device.h"
#include "tests/cuda_emulation/stream.h"

namespace retort {
namespace {

class Cooperative : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cudaStreamCreate(&stream_), cudaSuccess); }
  void TearDown() override {
    emulation::set_multiprocessors(132);
    cudaStreamDestroy(stream_);
    cudaGetLastError();
  }
  // Captures what is enqueued and runs it so many times.
  template <class F>
  void replay(int times, F enqueue_all) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    enqueue_all();
    ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    for (int i = 0; i < times; ++i) EXPECT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
  }
  cudaError_t launch(int blocks, std::function<void()> kernel, cudaStream_t stream = nullptr) {
    const unsigned threads = 64;
    return emulation::enqueue({.grid = dim3(unsigned(blocks)),
                               .block = dim3(threads),
                               .stream = stream ? stream : stream_,
                               .cooperative = true},
                              "test", std::move(kernel));
  }
  cudaStream_t stream_ = nullptr;
};

// Every block reads what all others wrote before the barrier, twice.
TEST_F(Cooperative, BlocksMeetAtTheBarrier) {
  constexpr int blocks = 21;
  std::vector<int> first(blocks, 0), second(blocks, 0), sums(blocks, 0);
  ASSERT_EQ(launch(blocks,
                   [&] {
                     const unsigned own = blockIdx.x;
                     if (threadIdx.x == 0) first[own] = 1;
                     emulation::wait_for_grid();
                     if (threadIdx.x == 63)
                       for (const int value : first) second[own] += value;
                     emulation::wait_for_grid();
                     if (threadIdx.x == 5)
                       for (const int value : second) sums[own] += value;
                   }),
            cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(sums, std::vector<int>(blocks, blocks * blocks));
}

// 128 registers for each of 64 threads: 8 blocks on a multiprocessor.
TEST_F(Cooperative, GridsThatHaveNoRoomAreRefused) {
  emulation::set_multiprocessors(2);
  EXPECT_EQ(launch(16, [] {}), cudaSuccess);
  EXPECT_EQ(launch(17, [] {}), cudaErrorCooperativeLaunchTooLarge);
}

TEST_F(Cooperative, GridsSideBySideAreRefused) {
  cudaStream_t beside = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  ASSERT_EQ(cudaStreamCreate(&beside), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&fork), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&join), cudaSuccess);
  for (const bool apart : {false, true}) {
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    if (!apart) cudaEventRecord(fork, stream_);
    EXPECT_EQ(launch(2, [] {}), cudaSuccess);
    if (apart) cudaEventRecord(fork, stream_);
    cudaStreamWaitEvent(beside, fork, 0);
    EXPECT_EQ(launch(
                  2, [] {}, beside),
              cudaSuccess);
    cudaEventRecord(join, beside);
    cudaStreamWaitEvent(stream_, join, 0);
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph),
              apart ? cudaSuccess : cudaErrorCooperativeLaunchTooLarge);
    if (graph) cudaGraphDestroy(graph);
  }
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
  cudaStreamDestroy(beside);
}

// What is read before the wait may be what was there before, what is read behind it is not.
TEST_F(Cooperative, KernelsBeginBeforeTheOneAheadHasEnded) {
  for (const int blocks : {1, 2, 5}) {
    int written = 0;
    std::vector<int> before(size_t(blocks), -1), behind(size_t(blocks), -1);
    replay(2, [&] {
      const emulation::Configuration ahead{.grid = dim3(1), .block = dim3(32), .stream = stream_};
      EXPECT_EQ(emulation::enqueue(ahead, "ahead", [&] { written += threadIdx.x == 7; }), cudaSuccess);
      const emulation::Configuration early{
          .grid = dim3(unsigned(blocks)), .block = dim3(64), .stream = stream_, .programmatic = true};
      EXPECT_EQ(emulation::enqueue(early, "early",
                                   [&] {
                                     if (threadIdx.x == 3) before[blockIdx.x] = written;
                                     __syncthreads();
                                     emulation::wait_for_previous();
                                     if (threadIdx.x == 40) behind[blockIdx.x] = written;
                                   }),
                cudaSuccess);
    });
    std::vector<int> expected(size_t(blocks), 2);  // those in between begin later
    expected.front() = expected.back() = 1;
    EXPECT_EQ(before, expected);
    EXPECT_EQ(behind, std::vector<int>(size_t(blocks), 2));
  }
}

struct BatchNormCase {
  DType type;
  int64_t rows, channels;
  bool add, relu;
};

// What a batch norm leaves, in bytes, and the kernels it took.
struct Found {
  size_t kernels, early;  // early: that may begin before the one ahead has ended
  std::vector<char> bytes;
};

struct Launch {
  bool cooperative = false, programmatic = false, backward = false;
  int times = 2;  // tickets are back at 0
};

Found batch_norm(cudaStream_t stream, const BatchNormCase& c, const Launch& how) {
  const BatchNormShape shape{c.type, c.rows, c.channels};
  const size_t maps = size_t(c.rows * c.channels) * (c.type == DType::f32 ? 4 : 2),
               row = size_t(c.channels) * 4;
  std::vector<void*> all;
  const auto memory = [&](size_t bytes) {
    void* data = nullptr;
    EXPECT_EQ(cudaMalloc(&data, bytes), cudaSuccess);
    all.push_back(data);
    return data;
  };
  const auto drawn = [&](size_t n, uint32_t seed, DType type) {
    float* values = static_cast<float*>(memory(n * 4));
    std::mt19937 draw(seed);
    for (size_t i = 0; i < n; ++i) values[i] = float(int(draw() % 4001) - 1500) / 1000;
    if (type == DType::f32) return static_cast<void*>(values);
    void* rounded = memory(n * 2);
    EXPECT_EQ(cast_kernel(stream, DType::f32, values, type, rounded, int64_t(n), false), cudaSuccess);
    return rounded;
  };
  const size_t n = size_t(c.rows * c.channels), channels = size_t(c.channels);
  const auto floats = [](void* data) { return static_cast<float*>(data); };
  BatchNormForward f{.x = drawn(n, 1, c.type),
                     .gamma = floats(drawn(channels, 2, DType::f32)),
                     .beta = floats(drawn(channels, 3, DType::f32)),
                     .add = c.add ? drawn(n, 4, c.type) : nullptr,
                     .relu = c.relu,
                     .eps = 1e-5,
                     .momentum = 0.1,
                     .running_mean = floats(drawn(channels, 5, DType::f32)),
                     .running_var = floats(drawn(channels, 6, DType::f32)),
                     .mean = floats(memory(row)),
                     .inverse_std = floats(memory(row)),
                     .y = memory(maps)};
  const BatchNormGradient g{.x = f.x,
                            .y = c.relu ? drawn(n, 7, c.type) : nullptr,
                            .dy = drawn(n, 8, c.type),
                            .gamma = f.gamma,
                            .mean = floats(drawn(channels, 9, DType::f32)),
                            .inverse_std = floats(drawn(channels, 10, DType::f32)),
                            .batch_statistics = true,
                            .dx = memory(maps),
                            .dadd = c.add ? memory(maps) : nullptr,
                            .dgamma = floats(memory(row)),
                            .dbeta = floats(memory(row)),
                            .dx_accumulates = false,
                            .dadd_accumulates = false,
                            .dgamma_accumulates = false,
                            .dbeta_accumulates = false};
  void* scratch = memory(batch_norm_scratch(shape));
  unsigned* tickets = static_cast<unsigned*>(memory(ticket_bytes));
  EXPECT_EQ(cudaMemsetAsync(tickets, 0, ticket_bytes, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);

  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(how.backward ? batch_norm_gradient_kernel(stream, shape, g, how.programmatic, scratch, tickets)
                         : batch_norm_train_kernel(stream, shape, f, how.cooperative, how.programmatic,
                                                   scratch, tickets),
            cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  Found found{emulation::last_captured().size(), 0, {}};
  for (const emulation::Node& node : emulation::last_captured()) found.early += bool(node.begin);
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int i = 0; i < how.times; ++i) EXPECT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  const auto keep = [&](const void* data, size_t bytes) {
    found.bytes.insert(found.bytes.end(), static_cast<const char*>(data),
                       static_cast<const char*>(data) + bytes);
  };
  if (how.backward) {
    keep(g.dx, maps);
    if (g.dadd) keep(g.dadd, maps);
    for (const float* values : {g.dgamma, g.dbeta}) keep(values, row);
  } else {
    keep(f.y, maps);
    for (const float* values : {f.mean, f.inverse_std, f.running_mean, f.running_var}) keep(values, row);
  }
  for (void* data : all) cudaFree(data);
  return found;
}

TEST_F(Cooperative, BatchNormHasTheBitsOfTwoKernels) {
  for (const BatchNormCase& c : {BatchNormCase{DType::f32, 5, 3, false, false},
                                 {DType::f32, 700, 12, true, true},
                                 {DType::bf16, 384, 16, false, true},
                                 {DType::bf16, 1000, 24, true, true},
                                 {DType::f16, 300, 260, true, false},
                                 // 256 blocks: 8 and 16 rows in the registers of a thread.
                                 {DType::f32, 250, 2047, false, true},
                                 {DType::bf16, 500, 2047, false, true}}) {
    SCOPED_TRACE(text(c.rows, " x ", c.channels, " ", c.type));
    const Found two = batch_norm(stream_, c, {}), one = batch_norm(stream_, c, {.cooperative = true});
    EXPECT_EQ(two.kernels, 2u);
    EXPECT_EQ(one.kernels, 1u);
    EXPECT_TRUE(one.bytes == two.bytes) << "the bits differ";
  }
}

TEST_F(Cooperative, BatchNormWithoutRoomIsTwoKernels) {
  const BatchNormCase c{DType::f32, 3000, 8, true, true};
  const Found one = batch_norm(stream_, c, {.cooperative = true});
  EXPECT_EQ(one.kernels, 1u);
  emulation::set_multiprocessors(1);
  const Found two = batch_norm(stream_, c, {.cooperative = true});
  EXPECT_EQ(two.kernels, 2u);
  EXPECT_TRUE(one.bytes == two.bytes) << "the bits differ";
}

// Once only: numbers of a first time would hide that they are read before they are there.
TEST_F(Cooperative, BatchNormHasTheSameBitsWhereItsSecondKernelBeginsEarly) {
  for (const BatchNormCase& c : {BatchNormCase{DType::f32, 5, 3, false, false},
                                 {DType::f32, 700, 12, true, true},
                                 {DType::bf16, 384, 16, false, true},
                                 {DType::bf16, 1000, 24, true, true},
                                 {DType::f16, 300, 260, true, false}}) {
    for (const bool backward : {false, true}) {
      SCOPED_TRACE(text(backward ? "backward, " : "forward, ", c.rows, " x ", c.channels, " ", c.type));
      const Found late = batch_norm(stream_, c, {.backward = backward, .times = 1});
      const Found early = batch_norm(stream_, c, {.programmatic = true, .backward = backward, .times = 1});
      EXPECT_EQ(late.early, 0u);
      EXPECT_EQ(early.early, 1u);
      EXPECT_EQ(early.kernels, 2u);
      EXPECT_TRUE(early.bytes == late.bytes) << "the bits differ";
    }
  }
}

// Of two backends that share the device the first alone has such kernels, and the next one after it is gone.
TEST_F(Cooperative, OneBackendOfAProcessHasThem) {
  const auto kernels = [&](Device& device) {
    const auto ones = [&](Shape shape) { return device.persistent(shape, DType::f32); };
    Backend& backend = device.backend();
    const Array x = ones({64, 4}), gamma = ones({4}), beta = ones({4}), running_mean = ones({4}),
                running_var = ones({4}), mean = ones({4}), inverse_std = ones({4}), y = ones({64, 4});
    backend.begin_capture();
    backend.batch_norm_train(x.tensor, gamma.tensor, beta.tensor, {}, {}, running_mean.tensor,
                             running_var.tensor, mean.tensor, inverse_std.tensor, y.tensor);
    backend.release_graph(backend.end_capture());
    return emulation::last_captured().size();
  };
  auto first = Device::open({.name = "cuda"});
  {
    const auto second = Device::open({.name = "cuda"});
    EXPECT_EQ(kernels(*first), 1u);
    EXPECT_EQ(kernels(*second), 2u);
  }
  first.reset();
  EXPECT_EQ(kernels(*Device::open({.name = "cuda"})), 1u);
}

}  // namespace
}  // namespace retort
