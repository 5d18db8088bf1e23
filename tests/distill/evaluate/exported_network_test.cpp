// Exports run where weights do: eval and predict give of each what the network it was made from gives.
#include "distill/evaluate/exported_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "datasets/formats/npy.h"
#include "layers/state.h"
#include "models/export/infer_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort::testing {
namespace {

using nlohmann::json;

class Exports : public ::testing::Test {
 protected:
  Exports() {
    const auto device = Device::open({.name = "portable", .threads = 1});
    const auto model = make_model("resnet8", *device, {.classes = 24});
    initialize(*model, *device, 5);
    const std::vector<HostTensor> state = state_of(*model, *device);
    std::vector<TensorView> views;
    for (const HostTensor& t : state) views.push_back(t.view());
    write_safetensors(work / "w",
                      {{"architecture", "resnet8"}, {"mean", "0.5 0.4 0.3"}, {"std", "0.2 0.25 0.2"}}, views);
    export_to("infer", "f32", "f32.retort");
    export_to("infer", "f16", "f16.retort");
    export_to("infer", "int8", "int8.retort");
    export_to("onnx", "f32", "net.onnx");
  }
  void export_to(const std::string& format, const std::string& type, const std::string& name) const {
    const Outcome outcome = run({"export", "w", "--to", format, "--quantize", type, "-o", name}, work);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  json eval(const std::string& weights) const {
    const Outcome outcome =
        run({"eval", "--weights", weights, "--data", drawn, "--json", "--threads", "2"}, work);
    EXPECT_EQ(outcome.code, 0) << weights << ": " << outcome.err;
    return outcome.code ? json() : json::parse(outcome.out);
  }

  TempFolder work;
  const std::string drawn = "synthetic:train=1,test=48";
};

TEST_F(Exports, AreEvaluatedAsTheirWeights) {
  const json expected = eval("w");
  for (const std::string name : {"f32.retort", "f16.retort", "net.onnx"}) {
    const json found = eval(name);
    EXPECT_EQ(found["n"], 48) << name;
    EXPECT_NEAR(found["top1"], expected["top1"].get<double>(), 2.1) << name << ", one image of 48";
    EXPECT_NEAR(found["top5"], expected["top5"].get<double>(), 2.1) << name;
    EXPECT_NEAR(found["loss"], expected["loss"].get<double>(), 1e-3) << name;
  }
  const Outcome outcome = run({"eval", "--weights", "int8.retort", "--data", drawn, "--per-class"}, work);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.err, "8 bits");
  const Outcome again = run(
      {"export", "w", "--to", "infer", "--quantize", "int8", "-o", "again", "--data", drawn, "--json"}, work);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NEAR(eval("int8.retort")["top1"], json::parse(again.out)["accuracy"]["top1"].get<double>(), 1e-9);
}

TEST_F(Exports, PredictAsTheirWeights) {
  std::vector<float> pixels;
  for (int i = 0; i < 2 * 32 * 32 * 3; ++i) pixels.push_back(float(std::sin(0.37 * i)));
  write_npy(work / "x.npy", {2, 32, 32, 3}, std::span<const float>(pixels));
  const auto logits = [&](const std::string& weights) {
    const Outcome outcome = run({"predict", "--weights", weights, "x.npy", "--logits", "y.npy"}, work);
    EXPECT_EQ(outcome.code, 0) << weights << ": " << outcome.err;
    return read_npy(work / "y.npy").reals();
  };
  const std::vector<double> expected = logits("w");
  for (const auto& [name, allowed] :
       {std::pair{"f32.retort", 1e-5}, {"f16.retort", 1e-2}, {"net.onnx", 1e-5}}) {
    const std::vector<double> found = logits(name);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], allowed) << name;
  }
}

TEST_F(Exports, SayWhatTheyAreWhereWeightsAreNeeded) {
  for (const std::string name : {"f32.retort", "net.onnx"}) {
    const std::string message = failure(3, {"import", name, "--model", "resnet8", "--out", "o"}, work);
    expect_contains(message, "take the weights it was made from");
  }
}

// They had no effect, and nothing was said.
TEST_F(Exports, OptionsOfWeightsAreRefused) {
  for (const std::string name : {"f32.retort", "net.onnx"}) {
    for (const auto& [option, value] : {std::pair("--model", "resnet8"),
                                        {"--device", "portable"},
                                        {"--precision", "fp32"},
                                        {"--batch", "8"}})
      expect_contains(failure(2, {"eval", "--weights", name, "--data", drawn, option, value}, work), option);
    for (const auto& [option, value] : {std::pair("--model", "resnet8"), {"--device", "portable"}})
      expect_contains(failure(2, {"predict", "--weights", name, "x.npy", option, value}, work), option);
  }
}

TEST_F(Exports, DamagedOnesAreRefused) {
  std::string content = content_of(work / "f32.retort");
  content[content.size() / 2] ^= 1;
  work.write("bad.retort", content);
  expect_contains(failure(3, {"eval", "--weights", "bad.retort", "--data", drawn}, work), "damaged");
  std::string onnx = content_of(work / "net.onnx");
  onnx.resize(onnx.size() / 2);
  work.write("bad.onnx", onnx);
  expect_contains(failure(3, {"eval", "--weights", "bad.onnx", "--data", drawn}, work), "bad.onnx");
}

// They are printed, and stand in JSON. The library takes any bytes: what writes a file may be another
// program.
TEST(ExportedNetwork, NamesThatAreNoUtf8AreRefused) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model("resnet8", *device, {.classes = 24});
  initialize(*model, *device, 5);
  InferenceGraph graph = inference_graph(*model, *device);
  const TempFolder work;
  const auto message_of = [&](const std::vector<std::string>& class_names) {
    const std::vector<std::byte> file = infer_file(graph, {.class_names = class_names});
    work.write("net.retort", {reinterpret_cast<const char*>(file.data()), file.size()});
    return failure(3, {"eval", "--weights", "net.retort", "--data", "synthetic:train=1,test=48"}, work);
  };
  std::vector<std::string> names(24, "class");
  names[7] = "a\xff";
  expect_contains(message_of(names), "net.retort: the name of class 7 is no UTF-8");
  graph.model = "resnet\xff";
  expect_contains(message_of({}), "net.retort: the name of its network is no UTF-8");
}

}  // namespace
}  // namespace retort::testing
