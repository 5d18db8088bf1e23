// Average precision of boxes as COCO scores it (cocodataset.org/#detection-eval): what pycocotools computes
// for "bbox", in f64, but for its one slip, that an annotation with the id 0 counts as not found when it is
// found.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "datasets/readers/coco.h"

namespace retort {

// Fractions from 0 to 1; -1 where nothing is annotated that it could be measured on.
struct CocoScores {
  // Mean over the IoU thresholds .5, .55, ... .95; at .5; at .75; at all of them for boxes below 32 x 32
  // pixels, up to 96 x 96, and above. Up to 100 boxes a class and image.
  double ap = -1, ap50 = -1, ap75 = -1, ap_small = -1, ap_medium = -1, ap_large = -1;
  // Mean recall with up to 1, 10, 100 boxes a class and image, and with 100 by size.
  double ar1 = -1, ar10 = -1, ar100 = -1, ar_small = -1, ar_medium = -1, ar_large = -1;

  struct Class {
    int64_t id = 0;
    std::string name;
    double ap = -1, ap50 = -1, ap75 = -1;
  };
  std::vector<Class> classes;  // ascending ids
};

// Images without detections and detections in images without annotations count. Detections must be of known
// images and categories, see read_coco_results().
CocoScores coco_scores(const CocoAnnotations& annotations, const std::vector<CocoDetection>& detections);

// Intersection over union; with a crowd, over the detection's own area.
double coco_iou(const CocoRect& detection, const CocoRect& truth, bool crowd);

// The twelve numbers by the names that COCO's users know them by: AP, AP50, AP75, APs, APm, APl, AR1, AR10,
// AR100, ARs, ARm, ARl.
struct NamedCocoScore {
  const char* name;
  double CocoScores::*value;
};
const std::array<NamedCocoScore, 12>& named_coco_scores();

}  // namespace retort
