// Residual networks for 32x32 images: He et al., arXiv:1512.03385, section 4.2, in the form of the
// distillation benchmarks (projection shortcuts; "x4" widens 16/32/64 to 64/128/256 behind a stem of 32).
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

// depth = 6n + 2 for n blocks in each of three stages.
std::unique_ptr<Model> make_cifar_resnet(Device& device, const ModelOptions& options, int depth, bool wide);

}  // namespace retort
