// Images are normalised with the mean and deviation that a network was trained with, whatever command reads
// its weights.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "datasets/formats/npy.h"
#include "distill/run/run_folder.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

const std::string tiny = "synthetic:train=96,test=48";
const Strings other_numbers = {"--mean", "0.5 0.4 0.3", "--std", "0.4 0.5 0.6"};
constexpr const char* data_mean = "0.3678 0.3661 0.3668";
constexpr const char* data_deviation = "0.2073 0.2078 0.2068";

// A folder with a trained network whose file says nothing of numbers (raw.safetensors), and the same with
// others than the data's (own.safetensors).
const TempFolder& weights() {
  static const TempFolder folder;
  static const bool made = [] {
    succeed({"train", "--model", "resnet8", "--data", tiny, "--epochs", "24", "--batch", "16", "--out", "t"},
            folder);
    const SafeTensors file = read_safetensors(folder / "t/checkpoints/last.safetensors");
    std::vector<TensorView> tensors;
    for (const HostTensor& tensor : file.tensors) {
      if (!tensor.name.starts_with("optimizer.")) tensors.push_back(tensor.view());
    }
    std::map<std::string, std::string> metadata = file.metadata;
    metadata.erase("mean");
    metadata.erase("std");
    write_safetensors(folder / "raw.safetensors", metadata, tensors);
    succeed(Strings{"import", "raw.safetensors", "--model", "resnet8", "--out", "own.safetensors"} +
                other_numbers,
            folder);
    return true;
  }();
  EXPECT_TRUE(made);
  return folder;
}

// "top-1 12.50 %, top-5 31.25 %" of the weights, as eval finds it.
std::string evaluated(const std::string& file, const Strings& more = {}) {
  const json found = json::parse(
      succeed(Strings{"eval", "--weights", file, "--data", tiny, "--json"} + more, weights()).out);
  char shown[64];
  std::snprintf(shown, sizeof shown, "top-1 %.2f %%, top-5 %.2f %%", found["top1"].get<double>(),
                found["top5"].get<double>());
  return shown;
}

struct Distilled {
  std::string weights_hash, err;
  std::map<std::string, std::string> metadata;
  std::string config, environment;
};

Distilled distilled(const Strings& more) {
  static int number = 0;
  const std::string out = "d" + std::to_string(++number);
  setenv("RETORT_CACHE", (weights() / "cache").c_str(), 1);
  const Outcome outcome = succeed(Strings{"distill", "--student", "resnet8", "--data", tiny, "--epochs", "1",
                                          "--batch", "32", "--json", "--out", out} +
                                      more,
                                  weights());
  unsetenv("RETORT_CACHE");
  const auto folder = weights() / out;
  return {json::parse(outcome.out)["weights_hash"], outcome.err,
          read_safetensors(RunFolder::last_of(folder)).metadata, content_of(folder / "config.toml"),
          content_of(folder / "env.json")};
}

TEST(Normalization, TheTeacherIsTheNetworkThatEvalShows) {
  const std::string own = evaluated("own.safetensors"), raw = evaluated("raw.safetensors");
  EXPECT_NE(own, raw) << "the numbers must matter for this test";
  EXPECT_EQ(own, evaluated("raw.safetensors", other_numbers));
  for (const char* source : {"live", "table"}) {
    SCOPED_TRACE(source);
    const Strings kd = {"--method", "kd", "--teacher-source", source, "--teacher"};
    expect_contains(distilled(kd + Strings{"own.safetensors"}).err, "top-1 " + own.substr(6));
    expect_contains(distilled(kd + Strings{"raw.safetensors"} + other_numbers).err, own);
    const Distilled plain = distilled(kd + Strings{"raw.safetensors"});
    expect_contains(plain.err, raw);
    expect_contains(plain.err, "the file does not say how its images were normalised");
  }
}

TEST(Normalization, ATeacherWithOwnNumbersGivesTheSameStudentLiveAndStored) {
  std::vector<std::string> hashes;
  for (const Strings& teacher : {Strings{"own.safetensors"}, Strings{"raw.safetensors"} + other_numbers}) {
    for (const char* source : {"live", "table", "table"}) {  // the second time the logits are read
      const Distilled run =
          distilled(Strings{"--method", "kd", "--teacher-source", source, "--teacher"} + teacher);
      hashes.push_back(run.weights_hash);
      EXPECT_EQ(run.metadata.at("mean"), data_mean) << "the student has the data's numbers";
      expect_contains(run.config, "teacher_mean = \"0.5 0.4 0.3\"");
      expect_contains(run.config, std::string("mean = \"") + data_mean);
      expect_contains(run.environment, "mean 0.5 0.4 0.3, std 0.4 0.5 0.6");
      expect_contains(run.err, "images are normalised for the teacher with mean 0.5 0.4 0.3");
    }
  }
  for (const std::string& hash : hashes) EXPECT_EQ(hash, hashes[0]);
  EXPECT_NE(hashes[0], distilled({"--method", "kd", "--teacher", "raw.safetensors"}).weights_hash);
}

TEST(Normalization, SharedNumbersChangeNothing) {
  for (const char* method : {"kd", "mlkd", "reviewkd"}) {
    SCOPED_TRACE(method);
    const Strings from = {"--method", method, "--teacher", "raw.safetensors"};
    EXPECT_EQ(distilled(from).weights_hash,
              distilled(from + Strings{"--mean", data_mean, "--std", data_deviation}).weights_hash);
    EXPECT_NE(distilled(from).weights_hash, distilled(from + other_numbers).weights_hash);
  }
}

TEST(Normalization, StartingWeightsBringTheirNumbers) {
  const Distilled run = distilled({"--method", "ce", "--init", "own.safetensors"});
  EXPECT_EQ(run.metadata.at("mean"), "0.5 0.4 0.3");
  EXPECT_EQ(run.metadata.at("std"), "0.4 0.5 0.6");
  succeed(Strings{"train", "--model", "resnet8", "--data", tiny, "--epochs", "1", "--batch", "32", "--init",
                  "raw.safetensors", "--out", "i"} +
              other_numbers,
          weights());
  const SafeTensors own = read_safetensors(weights() / "i/checkpoints/last.safetensors");
  EXPECT_EQ(own.metadata.at("mean"), "0.5 0.4 0.3");
  const json summary = json::parse(content_of(weights() / "i/summary.json"));
  EXPECT_EQ(summary["weights_hash"], run.weights_hash);
  // And are what the run is tested with.
  const json found = json::parse(succeed({"eval", "--weights", "i", "--json"}, weights()).out);
  EXPECT_EQ(found["top1"], summary["last"]["top1"]);
  EXPECT_EQ(found["loss"], summary["last"]["loss"]);
}

TEST(Normalization, PredictAndExportsHonourIt) {
  const TempFolder& work = weights();
  const std::string picture = testing::data_folder() + "/images/picture.jpg";
  const auto logits = [&](const std::string& file, const Strings& more) {
    succeed(Strings{"predict", "--weights", file, picture, "--logits", "y.npy"} + more, work);
    return content_of(work / "y.npy");
  };
  const std::string own = logits("own.safetensors", {});
  EXPECT_EQ(own, logits("raw.safetensors", other_numbers));
  EXPECT_NE(own, logits("own.safetensors", {"--mean", data_mean, "--std", data_deviation}));
  expect_contains(failure(3, {"predict", "--weights", "raw.safetensors", picture}, work), "--mean and --std");

  const auto exported = [&](const Strings& more) {
    return json::parse(
               succeed(Strings{"export", "--to", "infer", "--json", "--data", tiny, "-o", "n.retort"} + more,
                       work)
                   .out)["accuracy"]["top1"]
        .get<double>();
  };
  const json found =
      json::parse(succeed({"eval", "--weights", "own.safetensors", "--data", tiny, "--json"}, work).out);
  EXPECT_NEAR(exported({"own.safetensors"}), found["top1"].get<double>(), 1e-9);
  EXPECT_NEAR(exported(Strings{"raw.safetensors"} + other_numbers), found["top1"].get<double>(), 1e-9);
  EXPECT_NE(exported({"raw.safetensors"}), exported({"own.safetensors"}));
  succeed(Strings{"export", "raw.safetensors", "--to", "safetensors", "-o", "o.safetensors"} + other_numbers,
          work);
  EXPECT_EQ(read_safetensors(work / "o.safetensors").metadata.at("mean"), "0.5 0.4 0.3");
  succeed({"export", "o.safetensors", "--to", "onnx", "-o", "o.onnx"}, work);
  expect_contains(content_of(work / "o.onnx"), "0.4 0.5 0.6");
}

TEST(Normalization, EvalSaysWhatItMeasures) {
  expect_contains(succeed({"eval", "--weights", "own.safetensors", "--data", tiny}, weights()).err,
                  "resnet8 (own.safetensors, epoch 24) on " + tiny +
                      ": 48 test images of 24 classes, by the weights' mean 0.5 0.4 0.3, std 0.4 0.5 0.6");
  expect_contains(succeed({"eval", "--weights", "raw.safetensors", "--data", tiny}, weights()).err,
                  std::string("by the data's mean ") + data_mean);
  const Outcome replaced = succeed({"eval", "--weights", "own.safetensors", "--data", tiny, "--mean",
                                    "[0.5, 0.5, 0.5]", "--std", "(0.5,0.5,0.5)"},
                                   weights());
  expect_contains(replaced.err, "the file's own mean, 0.5 0.4 0.3, gives way to 0.5 0.5 0.5");
}

TEST(Normalization, NumbersThatAreNone) {
  const TempFolder& work = weights();
  for (const Strings& command :
       {Strings{"eval", "--weights", "raw.safetensors", "--data", tiny},
        Strings{"predict", "--weights", "raw.safetensors", "x.jpg"},
        Strings{"export", "raw.safetensors", "--to", "infer", "-o", "n"},
        Strings{"import", "raw.safetensors", "--model", "resnet8", "--out", "n"},
        Strings{"train", "--model", "resnet8", "--init", "raw.safetensors", "--out", "n"},
        Strings{"distill", "--student", "resnet8", "--teacher", "raw.safetensors", "--out", "n"}}) {
    SCOPED_TRACE(command[0]);
    expect_contains(failure(2, command + Strings{"--mean", "0.5 0.5 0.5"}, work), "go together");
    expect_contains(
        failure(2, command + Strings{"--mean", "123.675 116.28 103.53", "--std", "58.395 57.12 57.375"},
                work),
        "divide by 255?");
    expect_contains(failure(2, command + Strings{"--mean", "0.5 0.5", "--std", "1 1 1"}, work),
                    "expected three numbers");
    expect_contains(failure(2, command + Strings{"--mean", "0.5 0.5 0.5", "--std", "1 0 1"}, work),
                    "more than 0");
    EXPECT_FALSE(std::filesystem::exists(work / "n"));
  }
}

}  // namespace
}  // namespace retort
