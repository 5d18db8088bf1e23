// VGG for 32x32 images: Simonyan and Zisserman, arXiv:1409.1556, with batch norm and one linear layer.
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

// depth: 8, 11, 13, 16 or 19.
std::unique_ptr<Model> make_vgg(Device& device, const ModelOptions& options, int depth);

}  // namespace retort
