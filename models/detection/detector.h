// Faster R-CNN on a feature pyramid: Ren et al., arXiv:1506.01497; Lin et al., arXiv:1612.03144.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/detection/backbone.h"
#include "models/detection/heads.h"
#include "models/detection/proposals.h"
#include "models/model.h"

namespace retort {

struct DetectorPlan {
  DetectorSpec spec;
  std::string backbone = "resnet";  // resnet | mobilenet
  ResNetPlan resnet;
  int64_t width = 256;                // of the pyramid
  int64_t hidden = 1024;              // of the box head
  int64_t height = 800, side = 1344;  // of an input, for counting
};

// Boxes in the pixels of a batch, and which of its images each is of.
struct HostRois {
  std::vector<BoundingBox> boxes;
  std::vector<int32_t> images;
};

// Its parts are called one after another, because proposals are chosen on the host between them.
class Detector : public Model {
 public:
  Detector(Device& device, const ModelOptions& options, const DetectorPlan& plan);
  void visit(Visitor& visitor) override;

  // images: N,H,W,3, normalised, sides multiples of spec().pad_multiple.
  std::vector<Var> pyramid(const Var& images, const Pass& pass);
  Proposed propose(const std::vector<Var>& pyramid, const Pass& pass) { return proposals_(pyramid, pass); }
  // Each box on the level of its size, by this detector's own rule.
  Judged judge(const std::vector<Var>& pyramid, const HostRois& rois, const Pass& pass);

  // All layers once, for counting: the box head sees the whole picture spec().roi_samples times.
  Outputs forward(const Var& images, const Pass& pass, bool features) override;
  Shape input_shape() const { return {1, height_, side, 3}; }

  const DetectorSpec& spec() const { return spec_; }
  Backbone& backbone() { return *backbone_; }

 private:
  DetectorSpec spec_;
  std::unique_ptr<Backbone> backbone_;
  FeaturePyramid pyramid_;
  ProposalHead proposals_;
  BoxHead boxes_;
  int64_t height_;
};

// rcnn_tiny, rcnn_small (for small pictures, live batch norms), rcnn_r18, rcnn_r50, rcnn_r101, rcnn_mv2
// (detectron2's, frozen batch norms), rcnn_r50_v15, rcnn_r101_v15 (the same for torchvision's weights, with
// the stride of bottlenecks in the 3x3 convolution).
std::vector<std::string> detector_names();
bool is_detector(const std::string& name);

// Fault::usage for an unknown name. Parameters are not initialised yet.
std::unique_ptr<Detector> make_detector(const std::string& name, Device& device, const ModelOptions& options);

// The boxes' places in device memory, of this step. Each box is assigned to the level of its size.
Rois upload_rois(const DetectorSpec& spec, const HostRois& rois, const Pass& pass, DType type = DType::f32);

}  // namespace retort
