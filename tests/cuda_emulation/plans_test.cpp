// The layer around cuDNN's plans, on the emulated device: what is measured, kept, refused, shared.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "engine/cuda/cuda.h"
#include "engine/cuda/cudnn/graphs.h"
#include "engine/device.h"
#include "layers/module.h"
#include "tests/cuda_emulation/stream.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

// Sets an environment variable while it lives.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

// A backend, a stream and a convolution of 8 to 16 channels, run once; its result.
struct Runner {
  explicit Runner(const CudnnOptions& options) : backend(make_cuda({})) {
    EXPECT_EQ(cudaStreamCreate(&stream), cudaSuccess);
    graphs = std::make_unique<CudnnGraphs>(options, *backend, stream);
  }
  ~Runner() {
    graphs.reset();
    cudaStreamDestroy(stream);
  }
  std::vector<float> run(float first = 1, bool relu = false) {
    Arena arena(*backend);
    const Array x(arena, {1, 4, 4, 8}, DType::f32), w(arena, {16, 3, 3, 8}, DType::f32), y(arena, {1, 4, 4, 16}, DType::f32);
    std::vector<float> values(16 * 9 * 8);
    for (size_t i = 0; i < values.size(); ++i) values[i] = float(i % 7) - 3;
    backend->upload(w, values.data());
    values[0] = first;
    backend->upload(x, values.data());
    backend->synchronise();
    EXPECT_TRUE(graphs->conv_forward(x, w, {.stride = 1, .pad = 1}, {.bias = {}, .add = {}, .relu = relu}, y));
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    std::vector<float> result(16 * 16);
    backend->download(result.data(), y);
    return result;
  }

  std::unique_ptr<Backend> backend;
  cudaStream_t stream = nullptr;
  std::unique_ptr<CudnnGraphs> graphs;
};

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(CudnnPlanning, AnEngineThatWaitsIsNotTaken) {
  const std::vector<float> expected = Runner({}).run();
  const Setting waits("RETORT_EMULATED_CUDNN", "waits");
  for (const bool tune : {false, true}) {
    Runner runner({.tune = tune});
    EXPECT_EQ(runner.run(), expected);
    // It would break the capture.
    Arena arena(*runner.backend);
    const Array x(arena, {1, 4, 4, 8}, DType::f32), w(arena, {16, 3, 3, 8}, DType::f32), y(arena, {1, 4, 4, 16}, DType::f32);
    ASSERT_EQ(cudaStreamBeginCapture(runner.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_TRUE(runner.graphs->conv_forward(x, w, {.stride = 1, .pad = 1}, {}, y));
    cudaGraph_t captured = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(runner.stream, &captured), cudaSuccess);
    if (captured) cudaGraphDestroy(captured);
  }
}

TEST(CudnnPlanning, EveryMeasuredCandidateLeavesALine) {
  const testing::TempFolder folder;
  const Setting waits("RETORT_EMULATED_CUDNN", "waits");
  Runner runner({.tune = true, .plans = folder.path().string()});
  runner.run();
  runner.run(1, true);  // another problem
  const std::vector<std::string> lines = lines_of(folder / "candidates.csv");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], "problem,engine,cores,workspace,us,chosen");
  EXPECT_NE(lines[1].find("\"conv f32 x[1,4,4,8] k[3,3] s1 p1 g1 y[1,4,4,16]\",engine that waits,tensor cores,1000,inf,"),
            std::string::npos)
      << lines[1];
  EXPECT_NE(lines[1].find(",\""), std::string::npos) << "why it cannot be taken: " << lines[1];
  EXPECT_TRUE(lines[2].ends_with(",\"chosen\"")) << lines[2];
  EXPECT_NE(lines[4].find("relu"), std::string::npos) << lines[4];
}

// The backend's memory, which says no so many times.
class ScarceMemory : public Memory {
 public:
  ScarceMemory(Backend& backend, int refusals) : backend_(backend), refusals_(refusals) {}
  void* allocate(size_t bytes) override {
    check(refusals_-- <= 0, Fault::memory, "no ", bytes, " bytes");
    return backend_.allocate(bytes);
  }
  void release(void* data, size_t bytes) override { backend_.release(data, bytes); }
  bool host_addressable() const override { return false; }

 private:
  Backend& backend_;
  int refusals_;
};

// On a device that is nearly full the trial does without what needs most, or without itself; the run goes on.
// What it chose was every later run's choice.
TEST(CudnnPlanning, WhatThereIsNoRoomToTryEndsNoRun) {
  const std::vector<float> expected = Runner({}).run();
  const Setting waits("RETORT_EMULATED_CUDNN", "waits");  // of two plans the first, which needs 1,000 bytes
  for (const bool tune : {false, true}) {
    for (int refusals = 0; refusals <= 2; ++refusals) {
      const testing::TempFolder folder;
      const CudnnOptions options{.tune = tune, .plans = folder.path().string()};
      Runner runner({});
      ScarceMemory memory(*runner.backend, refusals);
      runner.graphs = std::make_unique<CudnnGraphs>(options, memory, runner.stream);
      EXPECT_EQ(runner.run(), expected) << refusals;
      EXPECT_EQ(runner.graphs->counters().planned, 1);
      runner.graphs.reset();
      Runner later(options);
      EXPECT_EQ(later.run(), expected);
      EXPECT_EQ(later.graphs->counters().planned, refusals > 0 ? 1 : 0) << refusals;
    }
  }
}

// With --parallel several backends meet a problem at once: one measures, the others read what it found.
TEST(CudnnPlanning, BackendsInOneProcessAgree) {
  const testing::TempFolder folder;
  std::vector<int> planned(4), read(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < planned.size(); ++i) {
    threads.emplace_back([&, i] {
      Runner runner({.tune = true, .plans = folder.path().string()});
      runner.run();
      planned[i] = runner.graphs->counters().planned;
      read[i] = runner.graphs->counters().read;
    });
  }
  for (std::thread& thread : threads) thread.join();
  int of_all = 0;
  for (size_t i = 0; i < planned.size(); ++i) {
    EXPECT_EQ(planned[i] + read[i], 1);
    of_all += planned[i];
  }
  EXPECT_EQ(of_all, 1);
}

// A run goes on with its own plans, whatever the cache holds by then.
TEST(CudnnPlanning, ARunKeepsItsPlans) {
  const testing::TempFolder cache, run;
  const CudnnOptions options{.tune = true, .plans = cache.path().string(), .plans_of_run = run.path().string()};
  Runner(options).run();
  std::filesystem::remove_all(cache.path());
  Runner again(options);
  again.run();
  EXPECT_EQ(again.graphs->counters().planned, 0);
  EXPECT_EQ(again.graphs->counters().read, 1);
  // What the cache has is written down for a new run.
  const testing::TempFolder other;
  Runner(CudnnOptions{.tune = true, .plans = run.path().string(), .plans_of_run = other.path().string()}).run();
  EXPECT_FALSE(std::filesystem::is_empty(other.path()));
}

// What a cache has damaged is planned again; what a run has is named, since its bits hang on it.
TEST(CudnnPlanning, ADamagedPlanOfARunIsNamed) {
  const testing::TempFolder folder;
  const std::string plans = folder.path().string();
  const CudnnOptions of_cache{.plans = plans}, of_run{.plans_of_run = plans};
  Runner(of_cache).run();
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().extension() == ".plan") file = entry.path();
  ASSERT_FALSE(file.empty());
  std::ifstream in(file);
  const std::string whole{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::string flipped = whole, other_head = whole;
  flipped.back() = char(flipped.back() ^ 1);
  other_head[0] = 'R';
  for (const std::string& damaged : {flipped, other_head, whole.substr(0, whole.size() / 2), std::string()}) {
    std::ofstream(file) << damaged;
    try {
      Runner(of_run).run();
      ADD_FAILURE() << "a damaged plan of " << damaged.size() << " bytes was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_NE(std::string(error.what()).find(file.string()), std::string::npos) << error.what();
    }
    Runner again(of_cache);
    again.run();
    EXPECT_EQ(again.graphs->counters().planned, 1);
    Runner(of_run).run();  // it has been replaced
  }
}

// A run's folder is made when its device has been at work already: what it planned until then is written down too.
TEST(CudnnPlanning, ARunWritesDownWhatItPlannedBeforeItsFolder) {
  const testing::TempFolder folder;
  const std::string plans = (folder / "run/cudnn-plans").string();
  const CudnnOptions options{.tune = true};
  Runner first(options);
  const std::vector<float> result = first.run();
  first.graphs->keep_plans(plans);
  first.run(1, true);  // another problem
  CudnnOptions goes_on = options;
  goes_on.plans_of_run = plans;
  Runner again(goes_on);
  EXPECT_EQ(again.run(), result);
  again.run(1, true);
  EXPECT_EQ(again.graphs->counters().planned, 0);
  EXPECT_EQ(again.graphs->counters().read, 2);
}

TEST(CudnnPlanning, WorkspacesOfTheirOwnChangeNothingElse) {
  Runner shared({}), separate({.separate_workspaces = true});
  EXPECT_EQ(shared.run(), separate.run());
  EXPECT_EQ(shared.run(1, true), separate.run(1, true));
  EXPECT_GT(separate.graphs->counters().workspace, shared.graphs->counters().workspace);
}

// A broken teacher must not look sound: in every place where a ReLU follows something, NaN stays NaN.
TEST(CudaNan, GoesThroughEveryFusedRelu) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* engines : {"all", "aligned", "bare", "none"}) {
    const Setting setting("RETORT_EMULATED_CUDNN", engines);
    const auto backend = make_cuda({});
    Arena arena(*backend);
    const auto up = [&](const Shape& shape, float value) {
      Array array(arena, shape, DType::f32);
      backend->fill(array, value);
      return array;
    };
    const auto all_nan = [&](const Tensor& t) {
      std::vector<float> values(size_t(t.size()));
      backend->download(values.data(), t);
      for (const float v : values)
        if (!std::isnan(v)) return false;
      return true;
    };
    const Array x = up({1, 2, 2, 8}, nan), w = up({8, 1, 1, 8}, 1), y = up({1, 2, 2, 8}, 0), bias = up({8}, 1),
                ones = up({8}, 1), sound = up({1, 2, 2, 8}, -1);
    for (const bool with_bias : {false, true}) {
      for (const bool with_add : {false, true}) {
        backend->fill(y, 0);
        backend->conv2d(x, w, {}, {with_bias ? bias.tensor : Tensor{}, with_add ? sound.tensor : Tensor{}, true}, y);
        EXPECT_TRUE(all_nan(y)) << engines << ", conv" << (with_bias ? ", bias" : "") << (with_add ? ", add" : "");
      }
    }
    backend->conv2d(sound, w, {}, {bias, x, true}, y);
    EXPECT_TRUE(all_nan(y)) << engines << ", a residual of NaN";
    backend->batch_norm_apply(x, ones, bias, {}, {.relu = true}, ones, ones, y);
    EXPECT_TRUE(all_nan(y)) << "batch norm";
    backend->unary({Unary::relu}, x, y);
    EXPECT_TRUE(all_nan(y)) << "relu";
    const Array depthwise = up({8, 3, 3, 1}, 1);
    backend->conv2d(x, depthwise, {.stride = 1, .pad = 1, .groups = 8}, {bias, {}, true}, y);
    EXPECT_TRUE(all_nan(y)) << "depthwise";
  }
}

}  // namespace
}  // namespace retort
