// Wide residual networks for 32x32 images: Zagoruyko and Komodakis, arXiv:1605.07146, pre-activation blocks.
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

// depth = 6n + 4 for n blocks in each of three groups of 16, 32 and 64 times `width` channels.
std::unique_ptr<Model> make_wrn(Device& device, const ModelOptions& options, int depth, int width);

}  // namespace retort
