// A network's numbers are whole or refused, at every door through which weights come or go.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "datasets/formats/npy.h"
#include "layers/state.h"
#include "models/weights.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace retort::testing {
namespace {

constexpr const char* drawn = "synthetic:train=32,test=24";

// A resnet8 of 24 classes with the first number of some tensors changed, as a file of ours.
std::string write_network(const TempFolder& work, const std::string& name,
                          const std::vector<std::pair<std::string, float>>& changes,
                          const std::string& model = "resnet8") {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto made = make_model(model, *device, {.classes = 24});
  initialize(*made, *device, 5);
  std::vector<HostTensor> state = state_of(*made, *device);
  std::vector<TensorView> views;
  for (HostTensor& t : state) {
    for (const auto& [tensor, value] : changes)
      if (t.name == tensor) std::memcpy(t.data.data(), &value, sizeof value);
    views.push_back(t.view());
  }
  write_safetensors(work / name, {{"architecture", model}, {"mean", "0.5 0.4 0.3"}, {"std", "0.2 0.2 0.2"}},
                    views);
  return name;
}

std::vector<std::string> devices() {
  std::vector<std::string> cpu;
  for (const std::string& name : available_devices())
    if (name != "cuda") cpu.push_back(name);
  return cpu;
}

void write_image(const TempFolder& work) {
  const std::vector<float> pixels(32 * 32 * 3, 0.25f);
  write_npy(work / "x.npy", {1, 32, 32, 3}, std::span(pixels));
}

struct Broken {
  const char* what;
  std::vector<std::pair<std::string, float>> changes;
  std::string word;
  const char* model = "resnet8";
};

// Stored numbers that are finite, and whose consequences are not.
TEST(WholeNumbers, OfABatchNormAreRefusedByEveryCommandThatReadsThem) {
  const TempFolder work;
  write_image(work);
  const Broken all[] = {{"variance", {{"bn1.running_var", -0.5f}}, "bn1.running_var holds -0.5"},
                        {"minus-eps", {{"layer1.0.bn1.running_var", -1e-5f}}, "layer1.0.bn1.running_var"},
                        {"slightly", {{"bn1.running_var", -1e-9f}}, "bn1.running_var"},
                        {"product",
                         {{"layer2.0.conv2.weight", 1e30f}, {"layer2.0.bn2.weight", 1e30f}},
                         "layer2.0.conv2.weight"},
                        {"shift", {{"bn1.weight", 1e30f}, {"bn1.running_mean", 1e30f}}, "bn1"},
                        {"unfolded", {{"bn1.running_var", -1.f}}, "bn1.running_var", "wrn_16_1"}};
  for (const Broken& broken : all) {
    const std::string w = write_network(work, broken.what, broken.changes, broken.model);
    for (const std::string& device : devices()) {
      const auto refused = [&](std::vector<std::string> words) {
        words.insert(words.end(), {"--device", device});
        const Outcome outcome = run(words, work);
        EXPECT_EQ(outcome.code, 3) << outcome.err;
        expect_contains(outcome.err, broken.word);
      };
      refused({"predict", "--weights", w, "x.npy"});
      refused({"eval", "--weights", w, "--data", drawn});
      if (std::string(broken.what) != "variance") continue;
      refused({"train", "--model", "resnet8", "--init", w, "--data", drawn, "--epochs", "1", "--out", "run",
               "--force"});
      refused({"distill", "--teacher", w, "--student", "resnet8", "--data", drawn, "--epochs", "1", "--out",
               "run", "--force"});
    }
    expect_contains(failure(3, {"info", w}, work), broken.word);
    expect_contains(failure(3, {"import", w, "--out", "o"}, work), broken.word);
    expect_contains(failure(3, {"import", w, "--strict", "no", "--out", "o"}, work), broken.word);
    for (const std::string format : {"onnx", "safetensors", "infer", "c"})
      expect_contains(failure(3, {"export", w, "--to", format, "-o", "o"}, work), broken.word);
    EXPECT_FALSE(std::filesystem::exists(work / "o"));
  }
}

TEST(WholeNumbers, AnExportThatOverflowsIsRefusedAndLeavesNoFile) {
  const TempFolder work;
  const std::string large = write_network(work, "large", {{"layer1.0.conv1.weight", 1e5f}});
  const std::string message =
      failure(2, {"export", large, "--to", "infer", "--quantize", "f16", "-o", "o"}, work);
  expect_contains(message, "conv2.weight [0] is ");
  expect_contains(message, "65504");
  EXPECT_FALSE(std::filesystem::exists(work / "o"));
  EXPECT_EQ(run({"export", large, "--to", "infer", "--quantize", "int8", "-o", "o"}, work).code, 0);
}

// Finite weights that overflow inside: no answer, no accuracy.
TEST(WholeNumbers, LogitsThatAreNotFiniteEndPredictAndEvalAsDiverged) {
  const TempFolder work;
  write_image(work);
  std::vector<std::pair<std::string, float>> changes;
  for (const char* norm :
       {"bn1", "layer1.0.bn1", "layer1.0.bn2", "layer2.0.bn1", "layer2.0.bn2", "layer3.0.bn2"})
    changes.push_back({std::string(norm) + ".bias", 1e38f});
  changes.push_back({"fc.weight", 1e38f});
  const std::string w = write_network(work, "w", changes);
  for (const std::string& device : devices()) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"predict", "--weights", w, "x.npy"},
                                                  {"eval", "--weights", w, "--data", drawn}}) {
      std::vector<std::string> all = words;
      all.insert(all.end(), {"--device", device});
      const Outcome outcome = run(all, work);
      EXPECT_EQ(outcome.code, 5) << outcome.err;
      expect_contains(outcome.err, "logit");
      EXPECT_EQ(outcome.out, "");
    }
  }
}

TEST(WholeNumbers, ATestLossThatIsNotFiniteIsNeverBest) {
  const TempFolder work;
  const Outcome outcome = run({"train", "--model", "resnet8", "--data", drawn, "--lr", "1e9", "--epochs", "1",
                               "--batch", "16", "--out", "run"},
                              work);
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(work / "run/checkpoints/best.safetensors"));
  expect_contains(content_of(work / "run/summary.json"), "diverged");
}

TEST(WholeNumbers, AnImportThatWouldBeMostlyRandomIsRefused) {
  const TempFolder work;
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model("resnet8", *device, {.classes = 24});
  initialize(*model, *device, 5);
  const std::vector<HostTensor> state = state_of(*model, *device);
  std::vector<HostTensor> renamed = state;
  for (HostTensor& t : renamed)
    if (t.name.starts_with("layer")) t.name = "stage" + t.name.substr(5);
  std::vector<TensorView> views;
  for (const HostTensor& t : renamed) views.push_back(t.view());
  write_safetensors(work / "w", {}, views);
  const std::string message =
      failure(3, {"import", "w", "--model", "resnet8", "--strict", "no", "--out", "o"}, work);
  expect_contains(message, "random");
  EXPECT_FALSE(std::filesystem::exists(work / "o"));
}

// A FIFO that nobody writes to, as weights of a run that catches signals.
TEST(WholeNumbers, OneSignalEndsTheWaitForWeightsOfAPipe) {
  const TempFolder work;
  ASSERT_EQ(::mkfifo((work / "pipe").c_str(), 0600), 0);
  for (const std::string option : {"--init", "--teacher"}) {
    const bool init = option == "--init";
    Program program({init ? "train" : "distill", init ? "--model" : "--student", "resnet8", option, "pipe",
                     "--data", drawn, "--out", init ? "a" : "b"},
                    work.path());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait().code, 143) << option;
  }
}

// Checkpoints of PyTorch in the ways in which people save them; the script says what is right for each. Needs
// PyTorch in the python3 of the path, or in RETORT_PYTHON.
TEST(WholeNumbers, OddCheckpointsOfPyTorch) {
  const char* given = std::getenv("RETORT_PYTHON");
  const std::string python = given ? given : "python3", data = testing::data_folder();
  if (std::system((python + " " + data + "/pytorch_files.py has-torch > /dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << python << " has no PyTorch; RETORT_PYTHON names another";
  const TempFolder work;
  ASSERT_EQ(
      std::system((python + " -W ignore " + data + "/odd_checkpoints.py " + work.path().string()).c_str()),
      0);
  const auto bias_of = [&](const std::string& file) {
    const SafeTensors read = read_safetensors(work / file);
    return std::vector<float>(read.find("fc.bias")->values<float>().begin(),
                              read.find("fc.bias")->values<float>().end());
  };
  const auto import = [&](const std::string& name) {
    return run({"import", name + ".pth", "--model", "resnet8", "--out", name}, work);
  };
  ASSERT_EQ(import("plain-dict").code, 0);
  const std::vector<float> plain = bias_of("plain-dict");
  std::ifstream list(work / "list.txt");
  int count = 0;
  for (std::string name, verdict; list >> name >> verdict; ++count) {
    const Outcome outcome = import(name);
    EXPECT_EQ(outcome.code, verdict == "refused" ? 3 : 0) << name << ": " << outcome.err;
    if (outcome.code != 0) continue;
    const std::vector<float> bias = bias_of(name);
    for (size_t i = 0; i < bias.size(); ++i)
      EXPECT_NEAR(bias[i], plain[i] + (verdict == "averaged" ? 1 : 0), 1e-6) << name << ' ' << i;
  }
  EXPECT_GT(count, 60);
}

}  // namespace
}  // namespace retort::testing
