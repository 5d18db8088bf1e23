// How alike a teacher sees the classes, once before a run's first step: for methods that read it (wkd-l).
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "datasets/augment/augment.h"
#include "datasets/image_set.h"
#include "engine/device.h"
#include "models/model.h"

namespace retort {

// C x C: centred kernel alignment (Kornblith et al., arXiv:1905.00414) of the features of two classes,
// |Y'X|^2 / (|X'X| |Y'Y|) with Frobenius norms, X and Y the last stage's maps of their images without
// augmentation, a row a place, centred per channel, paired in the set's order; of photos, whose maps would
// fill 73 GB for resnet34 on ImageNet, their logits, a row an image. A class counts as many images as the
// smallest one has. Holds the features of all those images in host memory (3.3 GB for resnet32x4 on
// CIFAR-100, 2.9 GB on ImageNet). progress(done, total). Fault::usage where a class has no image among the
// samples.
std::vector<double> class_similarity(Model& teacher, Device& device, const ImageSet& images,
                                     const std::vector<int32_t>& samples, const Normalize& sees,
                                     const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace retort
