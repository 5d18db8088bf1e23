#include "models/export/inference_graph.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/kernels/rows.h"
#include "engine/profile/forwarding_backend.h"

namespace retort {

namespace {

// The batch while recording; a value that does not begin with it has no place in the graph.
constexpr int64_t batch = 3;

Shape of_one_image(const Shape& shape) {
  int64_t extents[Shape::max_rank];
  for (int i = 1; i < shape.rank(); ++i) extents[i - 1] = shape[i];
  return Shape(extents, shape.rank() - 1);
}

// A device that computes nothing and notes what is asked of it. Values are known by their addresses; as an
// arena hands out the same ones again, the latest to write there counts. Every kernel that writes is noted or
// refused, so no value can be taken for another.
class Recorder : public ForwardingBackend {
 public:
  Recorder(InferenceGraph& graph, Device& weights) : graph_(graph), weights_(weights) {}

  // The value that lies at x.
  int value_of(const Tensor& x) {
    finish_padding(x);
    const auto found = values_.find(x.data);
    check(found != values_.end() && graph_.values[size_t(found->second)] == of_one_image(x.shape),
          "inference graph: a kernel reads ", x.shape, ", which no recorded kernel wrote in this shape");
    return found->second;
  }
  int new_value(const Tensor& y) {
    check(y.type == DType::f32 && y.shape.rank() >= 2 && y.shape[0] == batch, "inference graph: a value is ",
          y.type, " ", y.shape, ", expected f32 with the batch of ", batch, " in front");
    graph_.values.push_back(of_one_image(y.shape));
    unfinished_.erase(y.data);
    return values_[y.data] = int(graph_.values.size()) - 1;
  }

  std::string name() const override { return "recorder"; }
  std::string description() const override { return "recorder of an inference graph"; }
  bool host_addressable() const override { return true; }
  void* allocate(size_t bytes) override {
    void* data = std::aligned_alloc(Arena::alignment,
                                    (bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment);
    check(data != nullptr, Fault::memory, "out of memory: ", bytes, " bytes could not be had");
    return data;
  }
  void release(void* data, size_t) override { std::free(data); }
  void synchronise() override {}
  bool can_branch() const override { return false; }
  bool can_capture() const override { return false; }

  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override {
    InferenceNode node = node_of(NodeKind::conv, x);
    node.conv = spec;
    node.relu = epilogue.relu;
    if (epilogue.add) node.add = value_of(epilogue.add);
    node.weight = constant(node.name + ".weight", w);
    if (epilogue.bias) node.bias = constant(node.name + ".bias", epilogue.bias);
    add_node(node, y);
  }
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override {
    check(!transpose_a && transpose_b && !c.accumulates(),
          "inference graph: a matrix product that is not a linear layer");
    InferenceNode node = node_of(NodeKind::linear, a);
    node.weight = constant(node.name + ".weight", b);
    if (bias) node.bias = constant(node.name + ".bias", bias);
    add_node(node, c.to);
  }
  void inverse_std(const Tensor& var, double eps, const Tensor& to) override {
    std::vector<double> values = read_values(weights_, var);
    for (double& v : values) v = 1.0 / std::sqrt(v + eps);
    computed_[to.data] = std::move(values);
  }
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                        const Tensor& y) override {
    InferenceNode node = node_of(NodeKind::scale_shift, x);
    node.relu = spec.relu;
    if (add) node.add = value_of(add);
    std::vector<double> scale = read_values(weights_, gamma), shift = read_values(weights_, beta);
    const std::vector<double> means = read_values(weights_, mean), &inverse = computed_.at(inverse_std.data);
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] *= inverse[c];
      shift[c] -= means[c] * scale[c];
    }
    node.weight = constant(node.name + ".scale", gamma.shape, scale);
    node.bias = constant(node.name + ".shift", beta.shape, shift);
    add_node(node, y);
  }
  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor&) override {
    InferenceNode node =
        node_of(spec.kind == Pool2dSpec::maximum ? NodeKind::max_pool : NodeKind::average_pool, x);
    node.pool = spec;
    add_node(node, y);
  }
  void global_average(const Tensor& x, const Tensor& y) override {
    add_node(node_of(NodeKind::global_average, x), y);
  }
  void unary(const UnaryOp& op, const Tensor& x, const Sink& y) override {
    check(op.kind == Unary::relu && !y.accumulates(),
          "inference graph: an element-wise function other than ReLU");
    add_node(node_of(NodeKind::relu, x), y.to);
  }
  void binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) override {
    check(op == Binary::add && a.shape == b.shape && !y.accumulates(),
          "inference graph: a function of two values other than their sum");
    InferenceNode node = node_of(NodeKind::add, a);
    node.inputs.push_back(value_of(b));
    add_node(node, y.to);
  }
  void launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t, int64_t rows, int64_t) override {
    check(&rows_kernel == &row_kernel<ShuffleRow<float>>(), "inference graph: row kernel ", rows_kernel.name,
          " has no node");
    const auto& shuffle = *static_cast<const ShuffleRow<float>*>(kernel);
    const auto found = values_.find(const_cast<float*>(shuffle.x));
    check(found != values_.end(), "inference graph: channel_shuffle reads what no recorded kernel wrote");
    const Shape& one = graph_.values[size_t(found->second)];
    check(one.size() * batch == rows * shuffle.groups * shuffle.size &&
              one.last() == shuffle.groups * shuffle.size,
          "inference graph: channel_shuffle of ", rows, " rows reads ", one);
    int64_t extents[Shape::max_rank] = {batch};
    for (int i = 0; i < one.rank(); ++i) extents[i + 1] = one[i];
    const Shape shape(extents, one.rank() + 1);
    InferenceNode node = node_of(NodeKind::shuffle, {const_cast<float*>(shuffle.x), shape, DType::f32});
    node.groups = shuffle.groups;
    add_node(node, {shuffle.y, shape, DType::f32});
  }
  // A slice where it fills `to`; else a part of a concatenation, which is complete with its last part, or of
  // what fill has set to 0.
  void copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                    int64_t count) override {
    check(!to.accumulates(), "inference graph: a sum of columns has no node");
    int part = value_of(from);
    if (count != from.shape.last()) {
      InferenceNode node = node_of(NodeKind::slice, from);
      node.first = from_first;
      node.count = count;
      if (count == to.to.shape.last()) return add_node(node, to.to);
      Shape shape = graph_.values[size_t(part)];
      graph_.values.push_back(with_channels(shape, count));
      part = node.output = int(graph_.values.size()) - 1;
      graph_.nodes.push_back(node);
    }
    Unfinished& all = unfinished_[to.to.data];
    if (all.zeros) {
      check(all.parts.empty(), "inference graph: more than one part among zeros has no node");
      all.parts.push_back(part);
      all.covered = to_first;
      return;
    }
    check(to_first == all.covered, "inference graph: parts of a concatenation are not in order");
    all.parts.push_back(part);
    all.covered += count;
    if (all.covered < to.to.shape.last()) return;
    InferenceNode node;
    node.kind = NodeKind::concat;
    node.name = unique_name(node.kind);
    node.inputs = all.parts;
    add_node(node, to.to);
  }
  void fill(const Tensor& to, double value) override {
    check(value == 0, "inference graph: a constant value other than zeros has no node");
    values_.erase(to.data);
    unfinished_[to.data] = {.zeros = true, .parts = {}, .covered = 0};
  }

 private:
  // Columns that are written one after the other, or one part among zeros.
  struct Unfinished {
    bool zeros = false;
    std::vector<int> parts;
    int64_t covered = 0;  // columns; among zeros the first column of the part
  };

  // What inference does not do.
  bool begins(const KernelCall& call) override {
    fail(Fault::internal, "inference graph: kernel ", call.op, " has no node");
  }
  static Shape with_channels(const Shape& shape, int64_t channels) {
    int64_t extents[Shape::max_rank];
    for (int i = 0; i < shape.rank(); ++i) extents[i] = shape[i];
    extents[shape.rank() - 1] = channels;
    return Shape(extents, shape.rank());
  }

  void finish_padding(const Tensor& x) {
    const auto found = unfinished_.find(x.data);
    if (found == unfinished_.end() || !found->second.zeros) return;
    const Unfinished all = found->second;
    check(all.parts.size() == 1, "inference graph: a value of zeros alone has no node");
    InferenceNode node;
    node.kind = NodeKind::pad_channels;
    node.name = unique_name(node.kind);
    node.inputs = all.parts;
    node.first = all.covered;
    node.count = x.shape.last();
    add_node(node, x);
  }

  std::string unique_name(NodeKind kind) { return text(name_of(kind), ++counts_[kind]); }
  InferenceNode node_of(NodeKind kind, const Tensor& x) {
    InferenceNode node;
    node.inputs = {value_of(x)};
    node.kind = kind;
    node.name = unique_name(kind);
    return node;
  }
  void add_node(InferenceNode node, const Tensor& y) {
    node.output = new_value(y);
    graph_.nodes.push_back(std::move(node));
  }
  int constant(const std::string& name, const Shape& shape, const std::vector<double>& values) {
    InferenceConstant added{name, shape, {values.begin(), values.end()}};
    for (const float value : added.values)
      check(std::isfinite(value), Fault::input, graph_.model, ": ", name, " holds ", value,
            ", expected finite numbers");
    graph_.constants.push_back(std::move(added));
    return int(graph_.constants.size()) - 1;
  }
  int constant(const std::string& name, const Tensor& tensor) {
    return constant(name, tensor.shape, read_values(weights_, tensor));
  }

  InferenceGraph& graph_;
  Device& weights_;
  std::map<void*, int> values_;
  std::map<void*, Unfinished> unfinished_;
  std::map<void*, std::vector<double>> computed_;
  std::map<NodeKind, int> counts_;
};

// What no later node and no reader of the output asks for: a part of a network whose result is not used.
void drop_unread(InferenceGraph& graph) {
  std::vector<bool> read(graph.values.size(), false), held(graph.constants.size(), false);
  read[size_t(graph.input)] = read[size_t(graph.output)] = true;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const InferenceNode& node = graph.nodes[i];
    if (!read[size_t(node.output)]) continue;
    for (const int value : node.inputs) read[size_t(value)] = true;
    if (node.add >= 0) read[size_t(node.add)] = true;
    for (const int constant : {node.weight, node.bias})
      if (constant >= 0) held[size_t(constant)] = true;
  }
  std::erase_if(graph.nodes, [&](const InferenceNode& node) { return !read[size_t(node.output)]; });
  // What is left keeps its order, under new numbers.
  const auto compact = [](auto& all, const std::vector<bool>& kept) {
    std::vector<int> number(all.size(), -1);
    size_t count = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!kept[i]) continue;
      number[i] = int(count);
      if (count != i) all[count] = std::move(all[i]);
      ++count;
    }
    all.resize(count);
    return number;
  };
  const std::vector<int> value = compact(graph.values, read), constant = compact(graph.constants, held);
  for (InferenceNode& node : graph.nodes) {
    for (int& input : node.inputs) input = value[size_t(input)];
    node.output = value[size_t(node.output)];
    if (node.add >= 0) node.add = value[size_t(node.add)];
    if (node.weight >= 0) node.weight = constant[size_t(node.weight)];
    if (node.bias >= 0) node.bias = constant[size_t(node.bias)];
  }
  graph.input = value[size_t(graph.input)];
  graph.output = value[size_t(graph.output)];
}

}  // namespace

const char* name_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::conv:
      return "conv";
    case NodeKind::linear:
      return "linear";
    case NodeKind::scale_shift:
      return "scale_shift";
    case NodeKind::max_pool:
      return "max_pool";
    case NodeKind::average_pool:
      return "average_pool";
    case NodeKind::global_average:
      return "global_average";
    case NodeKind::relu:
      return "relu";
    case NodeKind::add:
      return "add";
    case NodeKind::slice:
      return "slice";
    case NodeKind::concat:
      return "concat";
    case NodeKind::pad_channels:
      return "pad_channels";
    case NodeKind::shuffle:
      return "shuffle";
  }
  return "unknown";
}

int64_t InferenceGraph::macs() const {
  int64_t all = 0;
  for (const InferenceNode& node : nodes) {
    if (node.kind != NodeKind::conv && node.kind != NodeKind::linear) continue;
    const Shape &y = values[size_t(node.output)], &w = constants[size_t(node.weight)].shape;
    all += y.size() * (w.size() / w[0]);
  }
  return all;
}

InferenceGraph inference_graph(Model& model, Device& device) {
  fold_batch_norms(model, device);
  InferenceGraph graph;
  graph.model = model.name;
  graph.classes = model.classes;
  graph.side = model.side;
  auto backend = std::make_unique<Recorder>(graph, device);
  Recorder& recorder = *backend;
  Device recording(std::move(backend));
  const Pass pass{recording};
  const Var images = pass.make({batch, model.side, model.side, 3}, DType::f32);
  graph.input = recorder.new_value(images);
  graph.output = recorder.value_of(model(images, pass));
  drop_unread(graph);
  return graph;
}

}  // namespace retort
