// What stands on a backbone: the feature pyramid, the network of region proposals, the head of boxes.
#pragma once
#include <memory>
#include <vector>

#include "layers/layers.h"
#include "models/detection/detector_spec.h"

namespace retort {

// Lin et al., arXiv:1612.03144: p_i = conv3x3(m_i), m_i = conv1x1(C_i) + the level above, each place twice
// along a side. Levels beyond the backbone's take every second place of the one before.
class FeaturePyramid : public Module {
 public:
  FeaturePyramid(Device& device, const std::vector<int64_t>& channels, int64_t width, int levels, DType type);
  void visit(Visitor& visitor) override;  // fpn_lateral2, fpn_output2, ...
  // The finest level first, all of `width` channels.
  std::vector<Var> operator()(const std::vector<Var>& scales, const Pass& pass);

 private:
  std::vector<std::unique_ptr<Conv2d>> lateral_, output_;
  int levels_;
};

// For all anchors of an image, in the order of make_anchors: logits N,A of "here is an object", and deltas
// N,A,4.
struct Proposed {
  Var logits, deltas;
};

// One for all levels: conv3x3 and ReLU, then 1x1 each to logits and deltas.
class ProposalHead : public Module {
 public:
  ProposalHead(Device& device, int64_t width, int ratios, DType type);
  void visit(Visitor& visitor) override;
  Proposed operator()(const std::vector<Var>& pyramid, const Pass& pass);

 private:
  Conv2d conv_, logits_, deltas_;
};

// Boxes that are looked at: R,4 in pixels of the input, each of one image on one level.
struct Rois {
  Var boxes;
  Var images, levels;  // R, i32
};

// For each box: logits R,classes+1, background last, and deltas R,4 classes, class by class.
struct Judged {
  Var logits, deltas;
};

class BoxHead : public Module {
 public:
  BoxHead(Device& device, const DetectorSpec& spec, int64_t width, int64_t hidden, int64_t classes,
          DType type);
  void visit(Visitor& visitor) override;
  Judged operator()(const std::vector<Var>& pyramid, const Rois& rois, const Pass& pass);

 private:
  DetectorSpec spec_;
  // Over what a box sees, size x size places: K,R,S,C in memory like a convolution's weight, and so in
  // PyTorch's order of channels first in files, where it is O,I,size,size.
  Parameter first_weight_, first_bias_;
  Linear second_, classes_, boxes_;
  int64_t hidden_;
};

}  // namespace retort
