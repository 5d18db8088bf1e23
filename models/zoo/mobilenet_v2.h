// MobileNetV2 for 32x32 images: Sandler et al., arXiv:1801.04381, in the form of the distillation benchmarks.
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

// Half width, expansion 6. Unlike the paper: ReLU instead of ReLU6, strides for small images, an expanding
// convolution also where the expansion is 1.
std::unique_ptr<Model> make_mobilenet_v2(Device& device, const ModelOptions& options);

}  // namespace retort
