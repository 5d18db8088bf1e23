// The list of nodes of every model, run node by node with Portable's kernels, gives the model's own logits.
#include "models/export/inference_graph.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "models/export/infer_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_interpreter.h"

namespace retort::testing {
namespace {

class Graph : public ::testing::TestWithParam<std::string> {};

TEST_P(Graph, GivesTheModelsLogits) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  const auto model = make_model(GetParam(), *device, {.classes = 7});
  initialize(*model, *device, 3);
  const Array images = device->persistent({2, model->side, model->side, 3}, DType::f32);
  std::vector<double> pixels;
  for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
  write_values(*device, images, pixels);

  const InferenceGraph graph = inference_graph(*model, *device);
  const std::vector<double> expected = read_values(*device, (*model)(Var(images), Pass{*device}));
  const std::vector<double> found = Interpreter(graph, *device, 2).run(images);
  ASSERT_EQ(found.size(), expected.size());
  double scale = 0;
  for (const double e : expected) scale = std::max(scale, std::abs(e));
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6 * scale);

  EXPECT_EQ(graph.classes, 7);
  EXPECT_EQ(graph.values[size_t(graph.output)], Shape({7}));
  std::set<std::string> names;
  std::set<int> written = {graph.input};
  for (const InferenceNode& node : graph.nodes) {
    EXPECT_TRUE(names.insert(node.name).second) << node.name;
    EXPECT_TRUE(written.insert(node.output).second) << node.name << " writes what was written";
  }
}

// One of each family, and those whose parts the others lack; the large ones take seconds.
std::vector<std::string> small_models() {
  return {"resnet8", "resnet20",    "resnet8x4", "wrn_16_1",  "wrn_40_2",
          "vgg8",    "MobileNetV2", "ShuffleV1", "ShuffleV2", "ResNet18"};
}

INSTANTIATE_TEST_SUITE_P(, Graph, ::testing::ValuesIn(small_models()),
                         [](const auto& tested) { return tested.param; });

// A model that does what no node can say.
class Exponential : public Model {
 public:
  void visit(Visitor&) override {}
  Outputs forward(const Var& images, const Pass& pass, bool) override {
    Outputs outputs;
    outputs.logits = global_average_pool(pass, exp(pass, images));
    return outputs;
  }
};

// Such a file was written, and then refused by the library.
TEST(GraphErrors, WhatTheFormatHasNoRoomForIsRefused) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model("resnet8", *device, {.classes = 2, .side = 2304});
  initialize(*model, *device, 1);
  InferenceGraph graph = inference_graph(*model, *device);
  expect_fault(Fault::usage, "the format of --to infer has room for", [&] { infer_file(graph, {}); });
  const auto small = make_model("resnet8", *device, {.classes = 2});
  initialize(*small, *device, 1);
  graph = inference_graph(*small, *device);
  EXPECT_NO_THROW(infer_file(graph, {}));
  graph.model = std::string(32, 'n');
  expect_fault(Fault::usage, "a name of 32 bytes", [&] { infer_file(graph, {}); });
}

TEST(GraphErrors, WhatHasNoNodeIsRefused) {
  const auto device = Device::open({.name = "portable"});
  Exponential model;
  expect_fault(Fault::internal, "other than ReLU", [&] { inference_graph(model, *device); });
}

}  // namespace
}  // namespace retort::testing
