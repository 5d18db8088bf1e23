// The four losses of Faster R-CNN as detectron2 has them: of proposals, whether there is an object and where;
// of boxes, which class and where.
#pragma once
#include <vector>

#include "distill/methods/distiller.h"
#include "models/detection/detector.h"
#include "models/detection/targets.h"

namespace retort {

// "rpn_cls": binary cross-entropy of the anchors drawn; "rpn_box": L1 of the deltas of those that are
// objects. Both sums, divided by spec.rpn_samples for each image. One AnchorTargets per image.
std::vector<LossTerm> proposal_losses(const DetectorSpec& spec, const Proposed& proposed,
                                      const std::vector<AnchorTargets>& targets, const Pass& pass);

// Of all images of a batch together, in the order of the boxes that were judged.
struct RoiBatch {
  HostRois rois;
  std::vector<int32_t> classes;
  std::vector<BoxDeltas> deltas;

  void add(int32_t image, const RoiTargets& targets);
  int64_t size() const { return int64_t(classes.size()); }
};

// "cls": mean cross-entropy; "box": L1 of the true class's deltas of objects, divided by the number of all
// boxes. labels: the classes in device memory.
std::vector<LossTerm> box_losses(const Judged& judged, const RoiBatch& batch, const Var& labels,
                                 const Pass& pass);

// Numbers in memory of this step, as `type`; and integers.
Var upload_numbers(const Pass& pass, const Shape& shape, DType type, const std::vector<float>& numbers);
Var upload_integers(const Pass& pass, const Shape& shape, const std::vector<int32_t>& numbers);

}  // namespace retort
