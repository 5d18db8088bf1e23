// Measured choices of convolutions: what they are kept in, that they are obeyed, and that a run keeps its
// own.
#include "engine/cpu/conv_tuning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "engine/base/cache_folder.h"
#include "engine/cpu/portable.h"
#include "engine/device.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

ConvProblem some_problem(ConvPass pass = ConvPass::forward) {
  return problem_of(pass, {8, 16, 16, 32}, {32, 3, 3, 32}, {8, 16, 16, 32}, {1, 1, 1});
}

fs::path only_file_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  EXPECT_EQ(files.size(), 1u) << folder;
  return files.at(0);
}

void replace(std::string& content, const std::string& what, const std::string& with) {
  const size_t at = content.find(what);
  ASSERT_NE(at, std::string::npos) << what << " is not in\n" << content;
  content.replace(at, what.size(), with);
}

TEST(ConvTuning, KeepsChoicesForTheSameContext) {
  TempFolder work;
  const fs::path folder = work / "deep/convolutions";
  ConvProblem biased = some_problem();
  biased.bias = biased.relu = true;
  {
    ConvTuning tuning(folder);
    tuning.open("a machine");
    EXPECT_FALSE(tuning.find(biased));
    tuning.add(some_problem(), ConvAlgorithm::onednn, "by hand");
    tuning.add(biased, ConvAlgorithm::winograd, "direct 2 ms, winograd 1 ms");
    EXPECT_EQ(tuning.measured(), 2);
  }
  ConvTuning later(folder), other(folder);
  later.open("a machine");
  EXPECT_EQ(later.find(biased), ConvAlgorithm::winograd);
  EXPECT_EQ(later.find(some_problem()), ConvAlgorithm::onednn);
  EXPECT_FALSE(later.find(some_problem(ConvPass::weight_gradient)));
  EXPECT_EQ(later.measured(), 0);
  other.open("another machine");
  EXPECT_FALSE(other.find(biased));
  EXPECT_EQ(other.record(), "");
  expect_contains(content_of(only_file_of(folder)),
                  "forward 8x16x16x32 -> 8x16x16x32, 3x3, stride 1, pad 1, groups 1, bias, relu: winograd "
                  "(direct 2 ms, winograd 1 ms)\n");
}

TEST(ConvTuning, TwoProcessesKeepTheChoicesOfBoth) {
  TempFolder work;
  ConvTuning one(work.path()), two(work.path());
  one.open("here");
  two.open("here");
  one.add(some_problem(), ConvAlgorithm::direct, "one");
  two.add(some_problem(), ConvAlgorithm::winograd, "two");
  two.add(some_problem(ConvPass::weight_gradient), ConvAlgorithm::winograd, "two");
  EXPECT_EQ(two.find(some_problem()), ConvAlgorithm::winograd) << "a run keeps what it measured";
  ConvTuning later(work.path());
  later.open("here");
  EXPECT_EQ(later.find(some_problem()), ConvAlgorithm::direct);
  EXPECT_EQ(later.find(some_problem(ConvPass::weight_gradient)), ConvAlgorithm::winograd);
}

TEST(ConvTuning, ADamagedFileIsMeasuredAgainAndADamagedRecordRefused) {
  TempFolder work;
  ConvTuning tuning(work.path());
  tuning.open("here");
  tuning.add(some_problem(), ConvAlgorithm::winograd, "by hand");
  const fs::path file = only_file_of(work.path());
  const std::string good = content_of(file);
  EXPECT_EQ(good, tuning.record());
  std::string other_choice = good, unknown = good, shorter = good.substr(0, good.size() - 3);
  replace(other_choice, "winograd", "direct");
  replace(unknown, "winograd", "magic");
  for (const std::string& bad : {other_choice, unknown, shorter, std::string("x\0\n", 3), std::string()}) {
    std::ofstream(file, std::ios::binary) << bad;
    ConvTuning later(work.path()), resumed;
    later.open("here");
    EXPECT_FALSE(later.find(some_problem())) << bad;
    const std::string message =
        testing::error_of(Fault::input, [&] { resumed.continue_with(bad, "run/convolutions.txt"); });
    expect_contains(message, "run/convolutions.txt: is damaged");
  }
  ConvTuning resumed;
  resumed.continue_with(good, "run/convolutions.txt");
  resumed.open("with other threads");
  EXPECT_EQ(resumed.find(some_problem()), ConvAlgorithm::winograd);
}

TEST(ConvTuning, WithoutAFolderNothingIsKept) {
  TempFolder work;
  std::ofstream(work / "file") << "in the way";
  ConvTuning nowhere, blocked(work / "file/below");
  for (ConvTuning* tuning : {&nowhere, &blocked}) {
    tuning->open("here");
    tuning->add(some_problem(), ConvAlgorithm::direct, "by hand");
    EXPECT_EQ(tuning->find(some_problem()), ConvAlgorithm::direct);
  }
}

// --- what devices do with it ------------------------------------------------------------------------------

std::vector<std::string> cpu_devices() {
  std::vector<std::string> names;
  for (const std::string& name : available_devices())
    if (name != "cuda") names.push_back(name);
  return names;
}

// The three passes of one convolution, the gradients added to ones.
std::vector<std::vector<float>> passes(const std::string& name, ConvTuning* tuning) {
  const auto device = Device::open({.name = name, .threads = 2, .tuning = tuning});
  Backend& backend = device->backend();
  const auto filled = [&](const Shape& shape, uint32_t seed) {
    std::vector<float> values;
    for (int64_t i = 0; i < shape.size(); ++i) {
      seed = seed * 1664525u + 1013904223u;
      values.push_back(float(seed >> 8) / float(1 << 24) - 0.5f);
    }
    Array array = device->persistent(shape, DType::f32);
    backend.upload(array, values.data());
    return array;
  };
  const Array x = filled({8, 16, 16, 32}, 1), w = filled({32, 3, 3, 32}, 2), dy = filled({8, 16, 16, 32}, 3);
  const Array y = device->persistent(dy.tensor.shape, DType::f32),
              dx = device->persistent(x.tensor.shape, DType::f32, 1),
              dw = device->persistent(w.tensor.shape, DType::f32, 1);
  const Conv2dSpec spec{1, 1, 1};
  backend.conv2d(x, w, spec, {}, y);
  backend.conv2d_input_gradient(dy, w, spec, Sink(dx.tensor, Write::accumulate));
  backend.conv2d_weight_gradient(x, dy, spec, Sink(dw.tensor, Write::accumulate));
  std::vector<std::vector<float>> all;
  for (const Array* array : {&y, &dx, &dw}) {
    all.emplace_back(size_t(array->tensor.size()));
    backend.download(all.back().data(), *array);
  }
  return all;
}

TEST(ConvTuning, EveryAlgorithmIsTakenAndComputesTheSame) {
  for (const std::string& name : cpu_devices()) {
    const std::vector<std::vector<float>> expected = passes(name, nullptr);
    std::vector<std::vector<std::vector<float>>> found;
    std::vector<ConvAlgorithm> algorithms = {ConvAlgorithm::direct, ConvAlgorithm::winograd};
    if (name == "onednn") algorithms.push_back(ConvAlgorithm::onednn);
    for (const ConvAlgorithm algorithm : algorithms) {
      ConvTuning given;
      given.open("by hand");
      for (ConvPass pass : {ConvPass::forward, ConvPass::input_gradient, ConvPass::weight_gradient}) {
        ConvProblem problem = some_problem(pass);
        problem.accumulate = pass != ConvPass::forward;
        given.add(problem, algorithm, "by hand");
      }
      ConvTuning tuning;
      tuning.continue_with(given.record(), "by hand");
      found.push_back(passes(name, &tuning));
      EXPECT_EQ(tuning.measured(), 0) << name << ' ' << name_of(algorithm);
      for (size_t pass = 0; pass < expected.size(); ++pass) {
        float largest = 0, error = 0;
        for (size_t i = 0; i < expected[pass].size(); ++i) {
          largest = std::max(largest, std::abs(expected[pass][i]));
          error = std::max(error, std::abs(expected[pass][i] - found.back()[pass][i]));
        }
        EXPECT_LT(error, 2e-5f * largest) << name << ' ' << name_of(algorithm) << ", pass " << pass;
      }
    }
    for (size_t pass = 0; pass < expected.size(); ++pass)
      EXPECT_NE(found[0][pass], found[1][pass]) << name << ": another algorithm has other bits";
  }
}

TEST(ConvTuning, MeasuresEachProblemOnceAndChangesNoOperand) {
  TempFolder work;
  for (const std::string& name : cpu_devices()) {
    ConvTuning tuning(work.path()), later(work.path());
    const auto measured = passes(name, &tuning);
    EXPECT_EQ(tuning.measured(), 3);
    EXPECT_EQ(passes(name, &tuning), measured);
    EXPECT_EQ(tuning.measured(), 3);
    EXPECT_EQ(passes(name, &later), measured);
    EXPECT_EQ(later.measured(), 0) << "the file has them";
    EXPECT_EQ(later.record(), tuning.record());
    const auto device = Device::open({.name = name, .threads = 2});
    expect_contains(tuning.record(), device->backend().description());
  }
}

// --- runs -------------------------------------------------------------------------------------------------

std::vector<std::string> training(const std::string& out, bool tune) {
  std::vector<std::string> all = {"train",
                                  "--model",
                                  "resnet8",
                                  "--data",
                                  "synthetic:train=56,test=8",
                                  "--epochs",
                                  "4",
                                  "--batch",
                                  "16",
                                  "--device",
                                  "portable",
                                  "--out",
                                  out,
                                  "--threads",
                                  "1",
                                  "--json",
                                  "--set",
                                  "checkpoint_minutes=0"};
  if (tune) all.push_back("--tune");
  return all;
}

// Whether the last checkpoint stands inside an epoch after the first: every shape has been met.
bool inside_later_epoch(const fs::path& run) {
  const fs::path file = RunFolder::last_of(run);
  if (!fs::exists(file)) return false;
  const json counters = json::parse(read_safetensors(file).metadata.at("counters"));
  return counters["epoch"] > 1 && counters["batch"] > 0;
}

// The programs' cache folder, for as long as this lives.
class Cache {
 public:
  explicit Cache(const fs::path& folder) { ::setenv("RETORT_CACHE", folder.c_str(), 1); }
  ~Cache() { ::unsetenv("RETORT_CACHE"); }
};

// The choices of a file turned round, where there is a choice: what no measurement would say.
std::string turned_round(const std::string& content) {
  std::istringstream in(content);
  std::string line, head, lines;
  for (int i = 0; i < 2 && std::getline(in, line); ++i) head += line + '\n';
  std::getline(in, line);
  while (std::getline(in, line)) {
    const size_t choice = line.find(": ") + 2;
    if (line.find(", winograd") != std::string::npos) {
      const bool winograd = line.compare(choice, 8, "winograd") == 0;
      line.replace(choice, winograd ? 8 : 6, winograd ? "direct" : "winograd");
    }
    lines += line + '\n';
  }
  return head + digest_of(lines) + '\n' + lines;
}

TEST(ConvTuning, ARunThatGoesOnComputesAsItBegan) {
  TempFolder work;
  std::string undisturbed;
  {
    const Cache cache(work / "cache");
    const std::string tuned = hash_of(run(training("a", true), work));
    const fs::path file = only_file_of(work / "cache/convolutions");
    EXPECT_EQ(content_of(work / "a/convolutions.txt"), content_of(file));
    const std::string turned = turned_round(content_of(file));
    std::ofstream(file, std::ios::binary) << turned;
    undisturbed = hash_of(run(training("b", true), work));
    EXPECT_EQ(content_of(work / "b/convolutions.txt"), turned);
    EXPECT_NE(undisturbed, tuned) << "other choices have other bits";

    Program program(training("c", true), work.path());
    ASSERT_TRUE(program.wait_until([&] { return inside_later_epoch(work / "c"); })) << program.err_so_far();
    program.signal(SIGKILL);
    program.wait();
  }
  std::string damaged = content_of(work / "c/convolutions.txt");
  replace(damaged, "direct", "winograd");
  for (const char* copy : {"lost", "other", "damaged", "old"})
    fs::copy(work / "c", work / copy, fs::copy_options::recursive);
  // Another cache, in which nothing is, and another number of threads.
  EXPECT_EQ(hash_of(run({"train", "--resume", "c", "--threads", "2", "--json"}, work)), undisturbed);
  // The checkpoint holds the choices, whatever became of the file.
  fs::remove(work / "lost/convolutions.txt");
  fs::copy_file(work / "a/convolutions.txt", work / "other/convolutions.txt",
                fs::copy_options::overwrite_existing);
  std::ofstream(work / "damaged/convolutions.txt", std::ios::binary) << damaged;
  for (const char* copy : {"lost", "other", "damaged"}) {
    const Outcome resumed = run({"train", "--resume", copy, "--json"}, work);
    EXPECT_EQ(hash_of(resumed), undisturbed) << copy;
    expect_contains(resumed.err, "/convolutions.txt: is not ");
    expect_contains(resumed.err, "the checkpoint's own record is used");
    EXPECT_EQ(content_of(work / copy / "convolutions.txt"), content_of(work / "b/convolutions.txt")) << copy;
  }
  // One of before does not: its file is believed, and one that is lost is missed.
  for (const char* name : {"last", "previous"}) {
    const fs::path file = work / ("old/checkpoints/" + std::string(name) + ".safetensors");
    SafeTensors old = read_safetensors(file);
    old.metadata.erase("convolutions");
    std::vector<TensorView> tensors;
    for (const HostTensor& tensor : old.tensors) tensors.push_back(tensor.view());
    write_safetensors(file, old.metadata, tensors);
  }
  std::ofstream(work / "old/convolutions.txt", std::ios::binary) << damaged;
  EXPECT_EQ(run({"train", "--resume", "old"}, work).code, 3);
  fs::remove(work / "old/convolutions.txt");
  const Outcome measured = run({"train", "--resume", "old"}, work);
  EXPECT_EQ(measured.code, 0) << measured.err;
  expect_contains(measured.err, "old/convolutions.txt: is not there");

  EXPECT_EQ(run(
                [&] {
                  auto all = training("a", false);
                  all.push_back("--force");
                  return all;
                }(),
                work)
                .code,
            0);
  EXPECT_FALSE(fs::exists(work / "a/convolutions.txt")) << "of the run that was replaced";
}

}  // namespace
}  // namespace retort
