// The list of nodes of every model, run node by node with Portable's kernels, gives the model's own logits.
#include "models/inference_graph.h"

#include <cmath>
#include <set>

#include "tests/expect_error.h"

namespace retort::testing {
namespace {

// Runs a graph one node at a time, keeping every value.
class Interpreter {
 public:
  Interpreter(const InferenceGraph& graph, Device& device, int64_t images)
      : graph_(graph), device_(device), backend_(device.backend()), images_(images) {
    for (const InferenceConstant& constant : graph.constants) {
      constants_.push_back(device.persistent(constant.shape, DType::f32));
      write_values(device, constants_.back(), {constant.values.begin(), constant.values.end()});
    }
  }

  std::vector<double> run(const Tensor& images) {
    values_.assign(graph_.values.size(), {});
    values_[size_t(graph_.input)] = images;
    std::vector<Array> memory;
    for (const InferenceNode& node : graph_.nodes) {
      memory.push_back(device_.persistent(with_batch(graph_.values[size_t(node.output)]), DType::f32));
      values_[size_t(node.output)] = memory.back().tensor;
      execute(node);
    }
    return read_values(device_, values_[size_t(graph_.output)]);
  }

 private:
  Shape with_batch(const Shape& one) const {
    int64_t extents[Shape::max_rank] = {images_};
    for (int i = 0; i < one.rank(); ++i) extents[i + 1] = one[i];
    return Shape(extents, one.rank() + 1);
  }
  const Tensor& value(int index) const { return values_.at(size_t(index)); }
  Tensor constant(int index) const { return index < 0 ? Tensor() : constants_.at(size_t(index)).tensor; }

  void execute(const InferenceNode& node) {
    const Tensor &x = value(node.inputs.at(0)), &y = value(node.output);
    const Tensor add = node.add < 0 ? Tensor() : value(node.add);
    ASSERT_TRUE(bool(x)) << node.name << " reads what is not written yet";
    const Pass pass{device_};
    int64_t at = 0;
    switch (node.kind) {
      case NodeKind::conv:
        backend_.conv2d(x, constant(node.weight), node.conv, {constant(node.bias), add, node.relu}, y);
        break;
      case NodeKind::linear:
        backend_.matmul(x, false, constant(node.weight), true, constant(node.bias), y);
        break;
      case NodeKind::scale_shift:
        backend_.binary(Binary::mul, x, constant(node.weight), y);
        backend_.binary(Binary::add, y, constant(node.bias), y);
        if (add) backend_.binary(Binary::add, y, add, y);
        if (node.relu) backend_.unary({Unary::relu}, y, y);
        break;
      case NodeKind::max_pool:
      case NodeKind::average_pool:
        backend_.pool2d(x, node.pool, y, device_.persistent(y.shape, DType::i32));
        break;
      case NodeKind::global_average:
        backend_.global_average(x, y);
        break;
      case NodeKind::relu:
        backend_.unary({Unary::relu}, x, y);
        break;
      case NodeKind::add:
        backend_.binary(Binary::add, x, value(node.inputs.at(1)), y);
        break;
      case NodeKind::slice:
        backend_.copy_columns(x, node.first, y, 0, node.count);
        break;
      case NodeKind::concat:
        for (const int part : node.inputs) {
          backend_.copy_columns(value(part), 0, y, at, value(part).shape.last());
          at += value(part).shape.last();
        }
        break;
      case NodeKind::pad_channels:
        backend_.fill(y, 0);
        backend_.copy_columns(x, 0, y, node.first, x.shape.last());
        break;
      case NodeKind::shuffle:
        backend_.copy(channel_shuffle(pass, Var(x), node.groups), y);
        break;
    }
  }

  const InferenceGraph& graph_;
  Device& device_;
  Backend& backend_;
  int64_t images_;
  std::vector<Array> constants_;
  std::vector<Tensor> values_;
};

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

TEST(GraphErrors, WhatHasNoNodeIsRefused) {
  const auto device = Device::open({.name = "portable"});
  Exponential model;
  expect_fault(Fault::internal, "other than ReLU", [&] { inference_graph(model, *device); });
}

}  // namespace
}  // namespace retort::testing
