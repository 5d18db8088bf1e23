// ShuffleNet V1 for 32x32 images: Zhang et al., arXiv:1707.01083, 3 groups, in the form of the distillation
// benchmarks (a 1x1 stem, no max pool, a quarter of the width inside a block).
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

std::unique_ptr<Model> make_shufflenet_v1(Device& device, const ModelOptions& options);

}  // namespace retort
