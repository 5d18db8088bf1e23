#include "models/export/quantize.h"

#include <algorithm>
#include <cmath>

#include "engine/base/nearest.h"
#include "engine/kernels/numbers/half.h"

namespace retort {

namespace {

constexpr int steps = 40, largest = 127;

int8_t nearest_level(float value, float scale) {
  const float level = std::nearbyint(value / scale);
  return int8_t(std::clamp(level, float(-largest), float(largest)));
}

double squared_error(const float* row, size_t n, float scale) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const double error = double(row[i]) - double(nearest_level(row[i], scale)) * double(scale);
    sum += error * error;
  }
  return sum;
}

}  // namespace

WeightType weight_type_of(const std::string& option, const std::string& name) {
  if (name == "f32") return WeightType::f32;
  if (name == "f16") return WeightType::f16;
  if (name == "int8") return WeightType::int8;
  fail(Fault::usage, option, " '", name, "' is unknown; ", suggestion(name, {"f32", "f16", "int8"}));
}

uint16_t half_in_range(const InferenceConstant& constant, size_t element) {
  const float value = constant.values[element];
  const uint16_t half = half_of(value);
  check(std::isfinite(float_of(half)), Fault::usage, "--quantize f16: ", constant.name, " [", element,
        "] is ", value, " with its batch norm, float16 ends at 65504; f32 and int8 can hold it");
  return half;
}

QuantizedWeights quantize(const InferenceConstant& weights) {
  const size_t channels = size_t(weights.shape[0]), row = weights.values.size() / channels;
  QuantizedWeights result;
  result.values.resize(weights.values.size());
  for (size_t k = 0; k < channels; ++k) {
    const float* from = weights.values.data() + k * row;
    float most = 0;
    for (size_t i = 0; i < row; ++i) most = std::max(most, std::abs(from[i]));
    // Weights too small for a scale are zeros.
    const bool any = most / steps / largest > 0;
    float best = any ? most / largest : 1;
    double least = squared_error(from, row, best);
    for (int s = steps / 2; s < steps && any; ++s) {
      const float scale = most * float(s) / float(steps) / largest;
      const double error = squared_error(from, row, scale);
      if (error < least) least = error, best = scale;
    }
    result.scales.push_back(best);
    for (size_t i = 0; i < row; ++i) result.values[k * row + i] = nearest_level(from[i], best);
  }
  return result;
}

InferenceGraph rounded(InferenceGraph graph, WeightType type) {
  if (type == WeightType::f32) return graph;
  for (const InferenceNode& node : graph.nodes) {
    if (node.kind != NodeKind::conv && node.kind != NodeKind::linear) continue;
    InferenceConstant& weights = graph.constants[size_t(node.weight)];
    if (type == WeightType::f16) {
      for (size_t i = 0; i < weights.values.size(); ++i)
        weights.values[i] = float_of(half_in_range(weights, i));
      continue;
    }
    const QuantizedWeights q = quantize(weights);
    const size_t row = weights.values.size() / q.scales.size();
    for (size_t i = 0; i < weights.values.size(); ++i)
      weights.values[i] = float(q.values[i]) * q.scales[i / row];
  }
  return graph;
}

}  // namespace retort
