#include "models/export/onnx_model.h"

namespace retort {

namespace {

using Ints = std::vector<int64_t>;

class Translator {
 public:
  explicit Translator(const InferenceGraph& graph) : graph_(graph), names_(graph.values.size()) {}

  OnnxModel run() {
    const int64_t side = graph_.side;
    model_.name = graph_.model;
    model_.input = {"images",
                    text("N,3,", side, ",", side, ": RGB, normalised as (x / 255 - mean) / std"),
                    {3, side, side}};
    model_.output = {"logits", "unnormalised log-probabilities of the classes", {graph_.classes}};
    names_[size_t(graph_.input)] = model_.input.name;
    for (const InferenceNode& node : graph_.nodes) {
      name_ = node.name;
      translate(node);
    }
    return std::move(model_);
  }

 private:
  void translate(const InferenceNode& node) {
    const std::string x = names_[size_t(node.inputs[0])];
    const Shape& in = graph_.values[size_t(node.inputs[0])];
    const Shape& out = graph_.values[size_t(node.output)];
    switch (node.kind) {
      case NodeKind::conv: {
        std::vector<std::string> inputs = {x, convolution_weight(graph_.constants[size_t(node.weight)])};
        if (node.bias >= 0) inputs.push_back(constant(node.bias, {out.last()}));
        const Shape& w = graph_.constants[size_t(node.weight)].shape;
        const int64_t pad = node.conv.pad, stride = node.conv.stride;
        OnnxNode conv = make("Conv", inputs);
        conv.lists = {{"dilations", {1, 1}},
                      {"kernel_shape", {w[1], w[2]}},
                      {"pads", {pad, pad, pad, pad}},
                      {"strides", {stride, stride}}};
        conv.integers = {{"group", node.conv.groups}};
        return finish(node, {conv});
      }
      case NodeKind::linear: {
        const Shape& w = graph_.constants[size_t(node.weight)].shape;
        std::vector<std::string> inputs = {x, constant(node.weight, {w[0], w[1]})};
        if (node.bias >= 0) inputs.push_back(constant(node.bias, {w[0]}));
        OnnxNode gemm = make("Gemm", inputs);
        gemm.integers = {{"transB", 1}};
        return finish(node, {gemm});
      }
      case NodeKind::scale_shift: {
        const Ints shape = in.rank() == 3 ? Ints{in.last(), 1, 1} : Ints{in.last()};
        return finish(node, {make("Mul", {x, constant(node.weight, shape)}),
                             make("Add", {"", constant(node.bias, shape)})});
      }
      case NodeKind::max_pool:
      case NodeKind::average_pool: {
        const bool average = node.kind == NodeKind::average_pool;
        const int64_t kernel = node.pool.kernel, stride = node.pool.stride, pad = node.pool.pad;
        OnnxNode pool = make(average ? "AveragePool" : "MaxPool", {x});
        pool.lists = {{"kernel_shape", {kernel, kernel}},
                      {"pads", {pad, pad, pad, pad}},
                      {"strides", {stride, stride}}};
        if (average) pool.integers = {{"count_include_pad", 1}};
        return finish(node, {pool});
      }
      case NodeKind::global_average: {
        OnnxNode flatten = make("Flatten", {""});
        flatten.integers = {{"axis", 1}};
        return finish(node, {make("GlobalAveragePool", {x}), flatten});
      }
      case NodeKind::relu:
        return finish(node, {make("Relu", {x})});
      case NodeKind::add:
        return finish(node, {make("Add", {x, names_[size_t(node.inputs[1])]})});
      case NodeKind::slice:
        return finish(node,
                      {make("Slice", {x, integers("starts", {node.first}),
                                      integers("ends", {node.first + node.count}), integers("axes", {1})})});
      case NodeKind::concat: {
        std::vector<std::string> parts;
        for (int input : node.inputs) parts.push_back(names_[size_t(input)]);
        OnnxNode concat = make("Concat", parts);
        concat.integers = {{"axis", 1}};
        return finish(node, {concat});
      }
      case NodeKind::pad_channels: {
        // Of every axis what comes before, then of every axis what comes behind.
        Ints pads(size_t(in.rank() + 1) * 2, 0);
        pads[1] = node.first;
        pads[size_t(in.rank()) + 2] = node.count - node.first - in.last();
        return finish(node, {make("Pad", {x, integers("pads", pads)})});
      }
      case NodeKind::shuffle: {
        check(in.rank() == 3, "onnx_model: a shuffle of ", in, ", expected H,W,C");
        const int64_t groups = node.groups;
        OnnxNode transpose = make("Transpose", {""});
        transpose.lists = {{"perm", {0, 2, 1, 3, 4}}};
        return finish(node,
                      {make("Reshape", {x, integers("split", {0, groups, in[2] / groups, in[0], in[1]})}),
                       transpose, make("Reshape", {"", integers("join", {0, in[2], in[0], in[1]})})});
      }
    }
    fail(Fault::internal, "onnx_model: node ", node.name, " has no translation");
  }

  static OnnxNode make(const char* op, std::vector<std::string> inputs) {
    return {op, "", std::move(inputs), {}, {}, {}};
  }

  // Adds the operators, an empty input standing for the value before it, then the sum and the ReLU that the
  // node may end with.
  void finish(const InferenceNode& node, std::vector<OnnxNode> operators) {
    if (node.add >= 0) operators.push_back(make("Add", {"", names_[size_t(node.add)]}));
    if (node.relu) operators.push_back(make("Relu", {""}));
    std::string before;
    for (size_t i = 0; i < operators.size(); ++i) {
      OnnxNode& op = operators[i];
      for (std::string& input : op.inputs) {
        if (input.empty()) input = before;
      }
      const bool last = i + 1 == operators.size();
      op.name = operators.size() == 1 ? node.name : text(node.name, "/", i + 1, "_", op.op);
      before = !last ? op.name : node.output == graph_.output ? model_.output.name : node.name;
      op.outputs = {before};
      model_.nodes.push_back(std::move(op));
    }
    names_[size_t(node.output)] = before;
  }

  std::string constant(int index, const Ints& shape) {
    const InferenceConstant& c = graph_.constants[size_t(index)];
    model_.initializers.push_back({c.name, shape, c.values});
    return c.name;
  }
  // From K,R,S,C to K,C,R,S.
  std::string convolution_weight(const InferenceConstant& c) {
    const int64_t pixels = c.shape[1] * c.shape[2], channels = c.shape[3];
    std::vector<float> values(c.values.size());
    for (int64_t i = 0; i < int64_t(values.size()); ++i) {
      const int64_t channel = i % channels, pixel = i / channels % pixels, k = i / channels / pixels;
      values[size_t((k * channels + channel) * pixels + pixel)] = c.values[size_t(i)];
    }
    model_.initializers.push_back(
        {c.name, {c.shape[0], channels, c.shape[1], c.shape[2]}, std::move(values)});
    return c.name;
  }
  std::string integers(const char* what, const Ints& values) {
    model_.initializers.push_back({name_ + "." + what, {int64_t(values.size())}, values});
    return model_.initializers.back().name;
  }

  const InferenceGraph& graph_;
  std::vector<std::string> names_;  // of the graph's values
  std::string name_;                // of the node at work
  OnnxModel model_;
};

}  // namespace

OnnxModel onnx_model(const InferenceGraph& graph) {
  return Translator(graph).run();
}

}  // namespace retort
