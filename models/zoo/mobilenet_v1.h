// MobileNetV1 for images of 224x224: Howard et al., arXiv:1704.04861.
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

// Table 1 of the paper at full width, with the names of the distillation benchmarks: model.0.{0,1},
// model.K.{0,1,3,4}, fc. F0 is the stem; F1 to F4 are the last outputs at a quarter, an eighth, a sixteenth
// and a thirty-second of the side, as a ResNet's four stages have them.
std::unique_ptr<Model> make_mobilenet_v1(Device& device, const ModelOptions& options);

}  // namespace retort
