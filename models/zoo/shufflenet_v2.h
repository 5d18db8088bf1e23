// ShuffleNet V2 for 32x32 images: Ma et al., arXiv:1807.11164, width x1, in the form of the distillation
// benchmarks (a 1x1 stem, no max pool).
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

std::unique_ptr<Model> make_shufflenet_v2(Device& device, const ModelOptions& options);

}  // namespace retort
