// A network as ONNX describes it (onnx.ai/onnx/repo-docs/IR.html), and its file: IR version 8, operator set
// 17. Only what our networks need: f32 and i64 tensors, attributes that are integers or lists of them.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "models/export/inference_graph.h"

namespace retort {

struct OnnxTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<int64_t>> values;
  bool operator==(const OnnxTensor&) const = default;
};

struct OnnxNode {
  std::string op, name;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::vector<int64_t>> lists;
  std::map<std::string, int64_t> integers;
  bool operator==(const OnnxNode&) const = default;
};

// An f32 input or output of the graph. shape: its extents behind the batch, which is symbolic ("N").
struct OnnxValue {
  std::string name, doc;
  std::vector<int64_t> shape;
  bool operator==(const OnnxValue&) const = default;
};

struct OnnxModel {
  std::string name, doc, producer_version;
  std::map<std::string, std::string> metadata;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxNode> nodes;  // in an order in which they can run
  OnnxValue input, output;
  bool has_hash = true;  // the file's; those of 0.1.0 have none
  bool operator==(const OnnxModel&) const = default;
};

// The graph with images N,3,H,W as ONNX's users expect them. Input "images", output "logits".
OnnxModel onnx_model(const InferenceGraph& graph);

// With the hash (XXH3) of all before it as the last metadata entry, "xxh3", which model_version 2 announces.
std::string onnx_file(const OnnxModel& model);

// Reads what onnx_file() writes, and holds it to its hash, where it has one. Fault::input, naming `file`, for
// what is damaged or of another kind.
OnnxModel parse_onnx(std::string_view bytes, const std::string& file);

// The logits, N x classes, of images N,3,H,W (row-major), computed by plain loops from the definitions of
// ONNX's operators: slow, and independent of the engine's kernels and layouts. Fault::input, naming `file`,
// where the model does not hold together, or needs more than `most_held` numbers at once.
std::vector<float> run_onnx(const OnnxModel& model, const std::vector<float>& images, int64_t count,
                            const std::string& file, int64_t most_held = int64_t{1} << 28);

}  // namespace retort
