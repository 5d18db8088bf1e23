// Files of the embeddable library (engine/infer/format.h).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/export/quantize.h"

namespace retort {

struct InferFileOptions {
  WeightType weights = WeightType::f32;  // of convolutions and linear layers; everything else stays f32
  std::array<float, 3> mean{}, std{};    // of the pixels; zeros: unknown
  int64_t test_resize = 0;               // see NetworkInput; 0: unknown
  std::vector<std::string> class_names = {};
};

// The whole file. Fault::usage if the graph is larger than the format allows.
std::vector<std::byte> infer_file(const InferenceGraph& graph, const InferFileOptions& options);

}  // namespace retort
