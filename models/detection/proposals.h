// From what a network says of anchors and boxes to the boxes themselves.
#pragma once
#include "models/detection/anchors.h"

namespace retort {

// How much of a batch's picture is an image's own; the rest is padding.
struct PictureArea {
  float height = 0, width = 0;
};

// Region proposals of one image: of each level the candidates with the highest logits, decoded, clipped to
// the image and without those of no area; of these what is not suppressed; of all levels together the best,
// highest logit first. logits and deltas: one per anchor of make_anchors(spec, height, width). Boxes that are
// not finite are dropped.
std::vector<BoundingBox> make_proposals(const DetectorSpec& spec, int64_t height, int64_t width,
                                        std::span<const BoundingBox> anchors, std::span<const float> logits,
                                        std::span<const BoxDeltas> deltas, const PictureArea& picture,
                                        bool training);

struct Detection {
  BoundingBox box;
  int32_t label = 0;
  float score = 0;
};

// Detections of one image, the highest score first: for every proposal and class with a probability above
// spec.least_score, the class's decoded and clipped box, but those of no area, suppressed within each class;
// the best of all. probabilities: `classes` + 1 per proposal, background last; deltas: `classes` per
// proposal.
std::vector<Detection> make_detections(const DetectorSpec& spec, std::span<const BoundingBox> proposals,
                                       std::span<const float> probabilities,
                                       std::span<const BoxDeltas> deltas, int64_t classes,
                                       const PictureArea& picture);

}  // namespace retort
