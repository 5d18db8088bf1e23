// Residual networks: He et al., arXiv:1512.03385, in the form of the distillation benchmarks.
#pragma once
#include <memory>

#include "models/model.h"

namespace retort {

// Section 4.2 of the paper, with projection shortcuts: depth = 6n + 2 for n basic blocks in each of three
// stages of 16, 32 and 64 channels; wide ("x4"): 64, 128 and 256 behind a stem of 32.
std::unique_ptr<Model> make_cifar_resnet(Device& device, const ModelOptions& options, int depth, bool wide);

// The same with the paper's option A, shortcuts without parameters: every second pixel, and zeros for the
// channels that are not there, half of them before and half behind those that are. depth = 6n + 2. Names of
// tensors are those of the CIFAR-10 checkpoints that are in circulation: conv1, bn1,
// layerS.i.{conv1,bn1,conv2,bn2}, linear.
std::unique_ptr<Model> make_option_a_resnet(Device& device, const ModelOptions& options, int depth);

// Table 1 of the paper behind a 3x3 stem without max pool, for small images; depth: 18, 34 (basic blocks),
// 50 or 101 (bottlenecks).
std::unique_ptr<Model> make_resnet(Device& device, const ModelOptions& options, int depth);

// Table 1 as it is, for images of 224x224, with torchvision's names; a bottleneck's stride is its 3x3 convolution's.
// F0 is the stem before its max pool.
std::unique_ptr<Model> make_imagenet_resnet(Device& device, const ModelOptions& options, int depth);

}  // namespace retort
