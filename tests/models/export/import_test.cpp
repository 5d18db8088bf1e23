// Weights of other programs, as the program takes them: import, and every place that reads weights.
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "datasets/formats/npy.h"
#include "layers/state.h"
#include "models/weights.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/pytorch_writer.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;
const std::string tiny = "synthetic:train=200,test=60";

std::vector<HostTensor> fresh_state(const std::string& name, int64_t classes) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model(name, *device, {.classes = classes});
  initialize(*model, *device, 5);
  return state_of(*model, *device);
}

std::string hash_of_file(const std::filesystem::path& file, const std::string& model = "") {
  const auto device = Device::open({.name = "portable", .threads = 1});
  return weights_hash(state_of(*load_model(open_weights(file.string()), model, *device), *device));
}

std::vector<HostTensor> with_prefix(std::vector<HostTensor> tensors, const std::string& prefix) {
  for (HostTensor& t : tensors) t.name = prefix + t.name;
  return tensors;
}

void add(std::vector<HostTensor>& to, const std::vector<HostTensor>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

TEST(Import, GivesTheSameWeightsFromEveryContainer) {
  const TempFolder work;
  const std::vector<HostTensor> state = fresh_state("resnet8", 12);
  const std::string expected = weights_hash(state);
  std::vector<HostTensor> pair = with_prefix(fresh_state("resnet14", 12), "module.teacher.");
  add(pair, with_prefix(state, "module.student."));
  std::vector<TensorView> views;
  for (const HostTensor& t : state) views.push_back(t.view());
  write_safetensors(work / "plain.safetensors", {}, views);
  work.write("zip.pth", checkpoint_of(with_prefix(state, "module."), false));
  work.write("stream.pth", checkpoint_of(with_prefix(state, "model."), true));
  work.write("pair.pth", checkpoint_of(pair, false));
  for (const std::string file : {"plain.safetensors", "zip.pth", "stream.pth", "pair.pth"}) {
    const Outcome outcome =
        run({"import", file, "--model", "resnet8", "--out", "w.safetensors", "--json"}, work);
    ASSERT_EQ(outcome.code, 0) << file << outcome.err;
    EXPECT_EQ(json::parse(outcome.out)["classes"], 12);
    EXPECT_EQ(hash_of_file(work / "w.safetensors"), expected) << file;
    EXPECT_EQ(hash_of_file(work / file, "resnet8"), expected) << file;
  }
  const Outcome normalised = run({"import", "zip.pth", "--model", "resnet8", "--out", "n.safetensors",
                                  "--mean", "0.5 0.4 0.3", "--std", "0.2 0.2 0.2"},
                                 work);
  EXPECT_EQ(normalised.code, 0) << normalised.err;
  EXPECT_EQ(read_safetensors(work / "n.safetensors").metadata.at("mean"), "0.5 0.4 0.3");
}

TEST(Import, CheckpointsWorkWhereWeightsDo) {
  const TempFolder work;
  const std::string images = "--data=" + tiny;
  const std::vector<HostTensor> state = fresh_state("resnet8", 24);
  work.write("t.pth", checkpoint_of(state, true));
  EXPECT_EQ(run({"eval", "--weights", "t.pth", "--model", "resnet8", images}, work).code, 0);
  EXPECT_EQ(run({"info", "t.pth", "--model", "resnet8"}, work).code, 0);
  expect_contains(failure(2, {"eval", "--weights", "t.pth", images}, work), "--model");
  expect_contains(failure(2, {"eval", "--weights", "t.pth", "--model", "resnet8"}, work), "--data");
  const Outcome trained = run({"distill", "--teacher", "t.pth", "--teacher-model", "resnet8", "--student",
                               "resnet8", "--init", "t.pth", images, "--epochs", "1", "--out", "s"},
                              work);
  EXPECT_EQ(trained.code, 0) << trained.err;
}

TEST(Import, ListsWhatDoesNotFit) {
  const TempFolder work;
  std::vector<HostTensor> state = fresh_state("resnet8", 12);
  for (HostTensor& t : state) {
    if (t.name.starts_with("fc.")) t.name.replace(0, 2, "head");
    if (t.name == "layer1.0.conv1.weight") t.name = "layer1.0.conv_1.weight";
    if (t.name == "bn1.weight") t.shape = {4, 4};
  }
  work.write("odd.pth", checkpoint_of(state, false));
  const std::vector<std::string> import = {"import",  "odd.pth", "--model",
                                           "resnet8", "--out",   "w.safetensors"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), import.begin(), import.end());
    return more;
  };
  expect_contains(failure(3, import, work), "number of classes");
  const std::string message = failure(3, with({"--rename", "head=fc"}), work);
  expect_contains(message, "1 missing: layer1.0.conv1.weight");
  expect_contains(message, "1 unexpected: layer1.0.conv_1.weight");
  expect_contains(message, "bn1.weight is [4, 4], expected [16]");
  expect_contains(message, "is 'layer1.0.conv_1.weight' meant for 'layer1.0.conv1.weight'?");
  EXPECT_FALSE(std::filesystem::exists(work / "w.safetensors"));
  expect_contains(failure(2, with({"--rename", "layer1.0.conv_2=x"}), work), "did you mean 'layer1.0.conv");
  expect_contains(failure(2, with({"--rename", "head"}), work), "expected OLD=NEW");
  expect_contains(failure(2, with({"--rename", "conv1=head"}), work), "is there already");
  const Outcome lenient = run(with({"--rename", "head=fc", "--strict", "no", "--json"}), work);
  EXPECT_EQ(lenient.code, 0) << lenient.err;
  const json result = json::parse(lenient.out);
  EXPECT_EQ(result["missing"], json({"layer1.0.conv1.weight"}));
  EXPECT_EQ(result["misshaped"].size(), 1u);
  expect_contains(lenient.err, "layer1.0.conv_1.weight");
  const SafeTensors written = read_safetensors(work / "w.safetensors");
  const HostTensor* kept = written.find("fc.weight");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->data, state[state.size() - 2].data);
}

TEST(Import, RefusesWhatIsNoModel) {
  const TempFolder work;
  std::vector<HostTensor> state = fresh_state("resnet8", 12);
  work.write("good.pth", checkpoint_of(state, false));
  expect_contains(failure(2, {"import", "good.pth", "--model", "resnet8"}, work), "--out");
  expect_contains(failure(2, {"import", "good.pth", "--out", "w"}, work), "architecture");
  expect_contains(failure(2, {"import", "good.pth", "--model", "resnet9", "--out", "w"}, work),
                  "did you mean");
  expect_contains(failure(3, {"import", "none.pth", "--model", "resnet8", "--out", "w"}, work), "none.pth");
  float infinite = std::numeric_limits<float>::infinity();
  std::memcpy(state[0].data.data(), &infinite, sizeof infinite);
  work.write("infinite.pth", checkpoint_of(state, true));
  expect_contains(failure(3, {"import", "infinite.pth", "--model", "resnet8", "--out", "w"}, work), "inf");
  EXPECT_FALSE(std::filesystem::exists(work / "w"));
}

TEST(Import, RefusesANormalisationThatPredictCannotUse) {
  const TempFolder work;
  work.write("good.pth", checkpoint_of(fresh_state("resnet8", 12), false));
  const auto with = [&](const std::string& mean, const std::string& deviation) {
    return failure(
        2, {"import", "good.pth", "--model", "resnet8", "--out", "w", "--mean", mean, "--std", deviation},
        work);
  };
  expect_contains(with("1 2", "1 1 1"), "--mean is '1 2', expected three numbers");
  expect_contains(with("nan 0 0", "1 1 1"), "--mean is 'nan 0 0'");
  expect_contains(with("0 0 0 0", "1 1 1"), "--mean");
  expect_contains(with("0 0 0", "1 0 1"), "--std is '1 0 1', expected three numbers more than 0");
  EXPECT_FALSE(std::filesystem::exists(work / "w"));
}

TEST(Import, DoesNotReplaceWhatItReads) {
  const TempFolder work;
  const std::string content = checkpoint_of(fresh_state("resnet8", 12), false);
  work.write("good.pth", content);
  expect_contains(failure(2, {"import", "good.pth", "--model", "resnet8", "--out", "./good.pth"}, work),
                  "name another file");
  expect_contains(
      failure(2, {"export", "good.pth", "--model", "resnet8", "--to", "onnx", "-o", "./good.pth"}, work),
      "name another file");
  EXPECT_EQ(testing::content_of(work / "good.pth"), content);
}

TEST(Import, PredictNamesNoClassesOfAnotherDataSet) {
  const TempFolder work;
  work.write("ten.pth", checkpoint_of(fresh_state("resnet8", 10), false));
  const std::vector<float> pixels(32 * 32 * 3, 0.25f);
  write_npy(work / "x.npy", {1, 32, 32, 3}, std::span(pixels));
  const std::vector<std::string> words = {"predict", "--weights", "ten.pth", "--model", "resnet8", "x.npy"};
  EXPECT_EQ(run(words, work).code, 0);
  std::vector<std::string> named = words;
  named.insert(named.end(), {"--data", "synthetic:train=1,test=1"});
  expect_contains(failure(3, named, work), "resnet8 has 10 classes, synthetic:train=1,test=1 has 24");
}

// An evaluation would print an accuracy.
TEST(Import, WeightsThatAreNotFiniteAreRefusedByAllThatReadThem) {
  const TempFolder work;
  std::vector<HostTensor> state = fresh_state("resnet8", 24);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(state[0].data.data(), &nan, sizeof nan);
  work.write("nan.pth", checkpoint_of(state, true));
  for (const std::string command : {"eval", "info"}) {
    std::vector<std::string> words = {command, "nan.pth", "--model", "resnet8"};
    if (command == "eval") words.insert(words.begin() + 1, "--weights");
    if (command == "eval") words.insert(words.end(), {"--data", "synthetic:train=1,test=8"});
    expect_contains(failure(3, words, work), "conv1.weight holds nan");
  }
}

TEST(Import, RunsNoCommandOfAFile) {
  const TempFolder work;
  const std::string fixtures = testing::data_folder() + "/pytorch/";
  for (const std::string file : {"command_zip.pt", "command_stream.pt"}) {
    for (const std::string command : {"import", "eval", "info"}) {
      std::vector<std::string> words = {command, fixtures + file, "--model", "resnet8"};
      if (command == "import") words.insert(words.end(), {"--out", "w"});
      if (command == "eval") words.insert(words.begin() + 1, "--weights");
      if (command == "eval") words.insert(words.end(), {"--data", "synthetic:train=1,test=8"});
      failure(3, words, work);
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(work.path()));
}

// Files that torch.save writes now, of the models named, give PyTorch's logits, which lie beside. Needs
// PyTorch in the python3 of the path, or in RETORT_PYTHON; RETORT_ALL_MODELS=1 takes every model.
TEST(Import, PytorchsOwnFilesGiveItsLogits) {
  const char* given = std::getenv("RETORT_PYTHON");
  const std::string python = given ? given : "python3";
  const std::string script = testing::data_folder() + "/pytorch_files.py";
  if (std::system((python + " " + script + " has-torch > /dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << python << " has no PyTorch; RETORT_PYTHON names another";
  const TempFolder work;
  const auto device = Device::open({.name = "portable"});
  for (const char* file : {"models.json", "zoo.json", "option_a.json", "imagenet.json"}) {
    const json reference = reference_file(file);
    for (const json& expected : reference["models"]) {
      const std::string name = expected["name"];
      const bool small = name == "resnet8" || name == "MobileNetV2";
      if (!small && !std::getenv("RETORT_ALL_MODELS")) continue;
      ASSERT_EQ(std::system((python + " " + script + " zoo " + work.path().string() + " " + name).c_str()),
                0);
      for (const std::string container : {"zip", "stream"}) {
        const std::filesystem::path path = work / (name + "." + container + ".pt");
        const auto model = load_model(open_weights(path.string()), name, *device);
        std::filesystem::remove(path);
        device->step_arena().rewind();
        const Shape shape = shape_of(reference["images"]["shape"]);
        const Var images(device->persistent(shape, DType::f32));
        write_values(*device, images, formula_values(reference["images"]["formula"], shape.size()));
        expect_reference({{"values", expected["eval"]["logits"]}},
                         read_values(*device, (*model)(images, Pass{*device})), 1e-4, name + " " + container);
      }
    }
  }
}

}  // namespace
}  // namespace retort::testing
