// A model's inference as a plain list of nodes: what leaves the engine (ONNX, the embeddable library, C code)
// is written from this, whatever family the model is of.
//
// The list is in static single assignment form: every value is written by one node and read by later ones.
// Batch norms behind convolutions are folded into their weights. The batch is symbolic: shapes are those of
// one image, H,W,C or C.
#pragma once
#include <string>
#include <vector>

#include "models/model.h"

namespace retort {

// What follows from x (the node's first input); y is its value.
enum class NodeKind {
  conv,            // y = relu?(conv(x, weight) + bias + add), weight K,R,S,C/groups
  linear,          // y = weight x + bias, weight out,in
  scale_shift,     // y = relu?(scale x + shift + add) per channel: weight is the scale, bias the shift
  max_pool,        // as Backend::pool2d
  average_pool,    // the same; counts the padding
  global_average,  // H,W,C to C
  relu,
  add,           // x + inputs[1], of the same shape
  slice,         // channels [first, first + count)
  concat,        // all inputs' channels side by side
  pad_channels,  // zeros around the channels of x: it is channels [first, first + C) of `count`
  shuffle        // channel g size + j of `groups` groups goes to j groups + g
};
const char* name_of(NodeKind kind);

struct InferenceNode {
  NodeKind kind = NodeKind::relu;
  std::string name;            // unique, "conv3"
  std::vector<int> inputs;     // values
  int add = -1;                // a value, or -1
  int output = -1;             // a value
  int weight = -1, bias = -1;  // constants, or -1
  bool relu = false;
  Conv2dSpec conv;               // conv
  Pool2dSpec pool;               // max_pool, average_pool
  int64_t first = 0, count = 0;  // slice, pad_channels
  int64_t groups = 1;            // shuffle
};

struct InferenceConstant {
  std::string name;  // unique, "conv3.weight"
  Shape shape;
  std::vector<float> values;
};

struct InferenceGraph {
  std::string model;
  int64_t classes = 0, side = 0;
  std::vector<Shape> values;  // of one image
  std::vector<InferenceNode> nodes;
  std::vector<InferenceConstant> constants;
  int input = 0;         // side,side,3, normalised
  int output = -1;       // logits
  int64_t macs() const;  // multiply-adds of one image
};

// The graph of the model's present weights, in f32. Folds the model's batch norms (fold_batch_norms); device
// is the one that the model was made on. Fault::internal, naming the kernel, where the model's inference
// needs something that has no node.
InferenceGraph inference_graph(Model& model, Device& device);

}  // namespace retort
