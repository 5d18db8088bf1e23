#include "models/export/infer_file.h"

#include <bit>
#include <cstring>

#include "engine/infer/format.h"

namespace retort {

namespace {

using infer::Kind, infer::Type, infer::none;

class Bytes {
 public:
  void u32(uint32_t value) {
    for (int i = 0; i < 4; ++i) data.push_back(std::byte(value >> 8 * i));
  }
  void u64(uint64_t value) {
    u32(uint32_t(value));
    u32(uint32_t(value >> 32));
  }
  void f32(float value) { u32(std::bit_cast<uint32_t>(value)); }
  void set_u32(size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) data[at + i] = std::byte(value >> 8 * i);
  }
  void pad_to(size_t multiple) { data.resize((data.size() + multiple - 1) / multiple * multiple); }

  std::vector<std::byte> data;
};

Kind kind_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::conv:
      return Kind::conv;
    case NodeKind::linear:
      return Kind::linear;
    case NodeKind::scale_shift:
      return Kind::scale_shift;
    case NodeKind::max_pool:
      return Kind::max_pool;
    case NodeKind::average_pool:
      return Kind::average_pool;
    case NodeKind::global_average:
      return Kind::global_average;
    case NodeKind::relu:
      return Kind::relu;
    case NodeKind::add:
      return Kind::add;
    case NodeKind::slice:
      return Kind::slice;
    case NodeKind::concat:
      return Kind::concat;
    case NodeKind::pad_channels:
      return Kind::pad_channels;
    case NodeKind::shuffle:
      return Kind::shuffle;
  }
  fail(Fault::internal, "infer file: a node of unknown kind");
}

struct FileTensor {
  Type type;
  std::vector<int64_t> shape;
  Bytes data;
  uint32_t scales = none;
};

// The file's tensors: one per constant, in order, and the scales of int8 ones behind them.
std::vector<FileTensor> tensors_of(const InferenceGraph& graph, WeightType type) {
  std::vector<bool> is_weight(graph.constants.size());
  for (const InferenceNode& node : graph.nodes)
    if (node.kind == NodeKind::conv || node.kind == NodeKind::linear) is_weight[size_t(node.weight)] = true;
  std::vector<FileTensor> tensors, scales;
  for (size_t i = 0; i < graph.constants.size(); ++i) {
    const InferenceConstant& constant = graph.constants[i];
    FileTensor t{Type::f32, {}, {}};
    for (int axis = 0; axis < constant.shape.rank(); ++axis) t.shape.push_back(constant.shape[axis]);
    if (is_weight[i] && type == WeightType::int8) {
      const QuantizedWeights q = quantize(constant);
      t.type = Type::i8;
      for (const int8_t value : q.values) t.data.data.push_back(std::byte(value));
      t.scales = uint32_t(graph.constants.size() + scales.size());
      scales.push_back({Type::f32, {int64_t(q.scales.size())}, {}});
      for (const float scale : q.scales) scales.back().data.f32(scale);
    } else if (is_weight[i] && type == WeightType::f16) {
      t.type = Type::f16;
      for (size_t k = 0; k < constant.values.size(); ++k) {
        const uint16_t half = half_in_range(constant, k);
        t.data.data.push_back(std::byte(half & 0xff));
        t.data.data.push_back(std::byte(half >> 8));
      }
    } else {
      for (const float value : constant.values) t.data.f32(value);
    }
    tensors.push_back(std::move(t));
  }
  for (FileTensor& t : scales) tensors.push_back(std::move(t));
  return tensors;
}

void put_value(Bytes& out, const Shape& shape) {
  check(shape.rank() == 3 || shape.rank() == 1, "infer file: a value of shape ", shape,
        ", expected H,W,C or C");
  out.u32(shape.rank() == 3 ? uint32_t(shape[0]) : 1);
  out.u32(shape.rank() == 3 ? uint32_t(shape[1]) : 1);
  out.u32(uint32_t(shape.last()));
  out.u32(0);
}

void put_node(Bytes& out, const InferenceGraph& graph, const InferenceNode& node) {
  check(node.inputs.size() <= infer::most_inputs, Fault::usage, graph.model, ": ", node.name, " has ",
        node.inputs.size(), " inputs, the format of --to infer has room for ", infer::most_inputs);
  uint32_t kernel = uint32_t(node.pool.kernel), stride = uint32_t(node.pool.stride),
           pad = uint32_t(node.pool.pad);
  uint32_t groups = uint32_t(node.groups);
  if (node.kind == NodeKind::conv) {
    const Shape& w = graph.constants[size_t(node.weight)].shape;
    check(w[1] == w[2], Fault::usage, graph.model, ": ", node.name, " has a kernel of ", w[1], "x", w[2],
          ", the format of --to infer has square ones only");
    kernel = uint32_t(w[1]), stride = uint32_t(node.conv.stride), pad = uint32_t(node.conv.pad);
    groups = uint32_t(node.conv.groups);
  }
  out.u32(uint32_t(kind_of(node.kind)));
  out.u32(node.relu ? infer::flag_relu : 0);
  out.u32(uint32_t(node.inputs.size()));
  for (size_t i = 0; i < infer::most_inputs; ++i)
    out.u32(i < node.inputs.size() ? uint32_t(node.inputs[i]) : none);
  for (const int index : {node.add, node.output, node.weight, node.bias})
    out.u32(uint32_t(index));  // -1 is none
  for (const uint32_t value : {kernel, stride, pad, groups, uint32_t(node.first)}) out.u32(value);
}

}  // namespace

std::vector<std::byte> infer_file(const InferenceGraph& graph, const InferFileOptions& options) {
  std::vector<FileTensor> tensors = tensors_of(graph, options.weights);
  check(graph.values.size() <= infer::most_values && graph.nodes.size() <= infer::most_nodes &&
            tensors.size() <= infer::most_tensors,
        Fault::usage, graph.model, ": ", graph.values.size(), " values, ", graph.nodes.size(), " nodes, ",
        tensors.size(), " tensors are more than the format of --to infer has room for");
  for (const Shape& value : graph.values) {
    bool fits = uint64_t(value.size()) <= infer::most_elements;
    for (int i = 0; i < value.rank(); ++i) fits = fits && uint64_t(value[i]) <= infer::most_extent;
    check(fits, Fault::usage, graph.model, ": a value of ", value, ", the format of --to infer has room for ",
          infer::most_elements, " numbers and extents of ", infer::most_extent);
  }
  check(graph.model.size() < infer::name_bytes, Fault::usage, graph.model, ": a name of ", graph.model.size(),
        " bytes, the format of --to infer has room for ", infer::name_bytes - 1);
  check(options.class_names.empty() || int64_t(options.class_names.size()) == graph.classes,
        "infer file: ", options.class_names.size(), " names of ", graph.classes, " classes");
  Bytes out;
  for (const uint8_t byte : infer::magic) out.data.push_back(std::byte(byte));
  out.u32(infer::format_version);
  out.u32(0);  // CRC
  out.u64(0);  // size
  for (const size_t count : {graph.values.size(), graph.nodes.size(), tensors.size()})
    out.u32(uint32_t(count));
  out.u32(uint32_t(graph.input));
  out.u32(uint32_t(graph.output));
  out.u32(0);
  for (size_t i = 0; i < infer::name_bytes; ++i)
    out.data.push_back(i + 1 < infer::name_bytes && i < graph.model.size() ? std::byte(graph.model[i])
                                                                           : std::byte(0));
  for (const float value : options.mean) out.f32(value);
  for (const float value : options.std) out.f32(value);
  std::string names;
  for (const std::string& name : options.class_names) names += name + '\0';
  check(names.size() <= infer::most_name_bytes, Fault::usage, graph.model, ": names of classes of ",
        names.size(), " bytes, the format of --to infer has room for ", infer::most_name_bytes);
  out.u32(uint32_t(options.test_resize));
  out.u32(uint32_t(names.size()));
  out.u64(0);  // offset of the names
  out.data.resize(infer::file_header);
  for (const Shape& value : graph.values) put_value(out, value);
  for (const InferenceNode& node : graph.nodes) put_node(out, graph, node);
  uint64_t offset = out.data.size() + tensors.size() * infer::tensor_bytes;
  for (const FileTensor& t : tensors) {
    offset = (offset + infer::data_alignment - 1) / infer::data_alignment * infer::data_alignment;
    out.u32(uint32_t(t.type));
    out.u32(uint32_t(t.shape.size()));
    for (size_t i = 0; i < 4; ++i) out.u32(i < t.shape.size() ? uint32_t(t.shape[i]) : 0);
    out.u64(offset);
    out.u32(t.scales);
    out.u32(0);
    offset += t.data.data.size();
  }
  for (const FileTensor& t : tensors) {
    out.pad_to(infer::data_alignment);
    out.data.insert(out.data.end(), t.data.data.begin(), t.data.data.end());
  }
  if (!names.empty()) {
    out.set_u32(infer::at_names + 4, uint32_t(out.data.size()));
    out.set_u32(infer::at_names + 8, uint32_t(uint64_t(out.data.size()) >> 32));
    for (const char c : names) out.data.push_back(std::byte(c));
  }
  out.set_u32(infer::at_size, uint32_t(out.data.size()));
  out.set_u32(infer::at_size + 4, uint32_t(uint64_t(out.data.size()) >> 32));
  const auto* bytes = reinterpret_cast<const uint8_t*>(out.data.data());
  out.set_u32(infer::at_crc, infer::crc32(bytes + infer::at_size, out.data.size() - infer::at_size));
  return std::move(out.data);
}

}  // namespace retort
