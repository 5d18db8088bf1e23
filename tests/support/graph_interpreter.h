// Inference graphs for tests: an interpreter, and a small graph that has a node of every kind.
#pragma once
#include <gtest/gtest.h>

#include <cmath>

#include "models/export/inference_graph.h"

namespace retort::testing {

// Runs a graph one node at a time with a backend's plain kernels, keeping every value.
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

// Images of 8x8; logits of 5 classes.
inline InferenceGraph graph_of_all_kinds() {
  InferenceGraph g;
  g.model = "all_kinds";
  g.classes = 5;
  g.side = 8;
  g.values.push_back({8, 8, 3});
  const auto constant = [&](const char* name, const Shape& shape) {
    InferenceConstant c{name, shape, {}};
    for (int64_t i = 0; i < shape.size(); ++i)
      c.values.push_back(0.3f * float(std::sin(0.7 * double(i) + double(g.constants.size()))));
    g.constants.push_back(c);
    return int(g.constants.size()) - 1;
  };
  const auto node = [&](NodeKind kind, std::vector<int> inputs, const Shape& output) -> InferenceNode& {
    g.values.push_back(output);
    InferenceNode& n = g.nodes.emplace_back();
    n.kind = kind;
    n.name = text(name_of(kind), g.nodes.size());
    n.inputs = std::move(inputs);
    n.output = int(g.values.size()) - 1;
    return n;
  };
  InferenceNode* n = &node(NodeKind::conv, {0}, {8, 8, 6});  // value 1
  n->conv = {1, 1, 1};
  n->relu = true;
  n->weight = constant("a", {6, 3, 3, 3});
  n->bias = constant("b", {6});
  n = &node(NodeKind::conv, {1}, {8, 8, 6});  // 2: groups, a value added
  n->conv = {1, 0, 2};
  n->add = 1;
  n->weight = constant("c", {6, 1, 1, 3});
  n = &node(NodeKind::scale_shift, {2}, {8, 8, 6});  // 3
  n->relu = true;
  n->weight = constant("scale", {6});
  n->bias = constant("shift", {6});
  n = &node(NodeKind::conv, {3}, {4, 4, 6});  // 4: depthwise, stride 2
  n->conv = {2, 1, 6};
  n->weight = constant("d", {6, 3, 3, 1});
  n->bias = constant("e", {6});
  node(NodeKind::max_pool, {3}, {4, 4, 6}).pool = {Pool2dSpec::maximum, 2, 2, 0};      // 5
  node(NodeKind::average_pool, {3}, {4, 4, 6}).pool = {Pool2dSpec::average, 3, 2, 1};  // 6
  node(NodeKind::concat, {4, 5, 6}, {4, 4, 18});                                       // 7
  node(NodeKind::shuffle, {7}, {4, 4, 18}).groups = 3;                                 // 8
  n = &node(NodeKind::slice, {8}, {4, 4, 7});                                          // 9
  n->first = 4;
  n->count = 7;
  n = &node(NodeKind::pad_channels, {9}, {4, 4, 18});  // 10
  n->first = 3;
  n->count = 18;
  node(NodeKind::add, {10, 7}, {4, 4, 18});    // 11
  node(NodeKind::relu, {11}, {4, 4, 18});      // 12
  node(NodeKind::global_average, {12}, {18});  // 13
  n = &node(NodeKind::linear, {13}, {5});      // 14
  n->weight = constant("f", {5, 18});
  n->bias = constant("g", {5});
  g.output = n->output;
  return g;
}

}  // namespace retort::testing
