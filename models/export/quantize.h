// Weights in fewer bits: float16, and int8 with one scale per output channel.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/export/inference_graph.h"

namespace retort {

enum class WeightType { f32, f16, int8 };
// "f32", "f16", "int8"; Fault::usage, naming the option, for another name.
WeightType weight_type_of(const std::string& option, const std::string& name);

// w[k, i] is about values[k, i] scales[k]: symmetric, values from -127 to 127.
struct QuantizedWeights {
  std::vector<int8_t> values;
  std::vector<float> scales;  // one per extent 0 of the constant
};

// The scale of each channel is the one of 20 between half of its largest weight and all of it, over 127, that
// gives the least squared error: few large weights are clipped where the many others gain more.
QuantizedWeights quantize(const InferenceConstant& weights);

// The element as float16. Fault::usage, naming constant, element and value, if it is out of float16's range.
uint16_t half_in_range(const InferenceConstant& constant, size_t element);

// The graph with the weights of its convolutions and linear layers as they are after a round trip through
// `type`.
InferenceGraph rounded(InferenceGraph graph, WeightType type);

}  // namespace retort
