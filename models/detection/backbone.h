// Backbones: ImageNet networks without their classifier, which give a detector images of four scales.
#pragma once
#include <memory>
#include <vector>

#include "layers/module.h"

namespace retort {

class Backbone : public Module {
 public:
  // images N,H,W,3 with sides that are multiples of 32 -> C2, C3, C4, C5: places every 4, 8, 16, 32 pixels.
  virtual std::vector<Var> operator()(const Var& images, const Pass& pass) = 0;
  std::vector<int64_t> channels;  // of the four
};

// He et al., arXiv:1512.03385, with ImageNet's stem. Names as detectron2 has them: stem.conv1, res2.0.conv1,
// ...
struct ResNetPlan {
  int depth = 18;      // 18, 50, 101
  int64_t width = 64;  // of the stem and of res2
  // Batch norms are frozen, and the stem and res2 do not learn: for weights from ImageNet. Else all learns.
  bool frozen = true;
  // Of bottlenecks: in the first 1x1 convolution, as in detectron2's and MSRA's weights, or in the 3x3, as in
  // torchvision's.
  bool stride_in_1x1 = true;
};
std::unique_ptr<Backbone> make_resnet_backbone(Device& device, const ResNetPlan& plan,
                                               DType type = DType::f32);

// Sandler et al., arXiv:1801.04381, width 1, with frozen norms; all weights learn. Names features.0, ...
std::unique_ptr<Backbone> make_mobilenet_backbone(Device& device, DType type = DType::f32);

}  // namespace retort
