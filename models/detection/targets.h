// What a step learns from: which anchors and proposals of an image count, as what, and where their boxes
// should be. Functions of the image's boxes and of (seed, epoch, image) alone.
#pragma once
#include "engine/random_words.h"
#include "models/detection/anchors.h"

namespace retort {

// The objects of one image.
struct TrueBoxes {
  std::vector<BoundingBox> boxes;
  std::vector<int32_t> classes;  // of each, from 0
};

// For each candidate the true box that it overlaps most (the first at a tie; -1 where there is none) and by
// how much; and which candidates are the best of some true box, ties included.
struct Matches {
  std::vector<int32_t> best;
  std::vector<float> overlap;
  std::vector<bool> best_of_some;
};
Matches match(std::span<const BoundingBox> candidates, std::span<const BoundingBox> truth);

// `count` of the numbers, drawn without repetition, in the numbers' order; all if there are no more.
std::vector<int32_t> drawn(std::vector<int32_t> numbers, int64_t count, RandomWords& random);

// Anchors drawn for one image: at most half of spec.rpn_samples objects, then background. Always
// spec.rpn_samples entries (or as many as there are anchors): what is missing is filled with other anchors of
// weight 0, so that shapes and the distinctness of indices do not depend on the image.
struct AnchorTargets {
  std::vector<int32_t> anchors;   // distinct
  std::vector<float> weights;     // 1: drawn, 0: filled
  std::vector<float> objects;     // 1: an object, 0: background
  std::vector<BoxDeltas> deltas;  // of objects, else 0
};
AnchorTargets anchor_targets(const DetectorSpec& spec, std::span<const BoundingBox> anchors,
                             std::span<const BoundingBox> truth, RandomWords random);

// Boxes that go through the head: of proposals and the true boxes themselves, at most roi_objects of
// spec.roi_samples objects, then background.
struct RoiTargets {
  std::vector<BoundingBox> boxes;
  std::vector<int32_t> classes;   // of background: `background`
  std::vector<BoxDeltas> deltas;  // of objects, else 0
};
RoiTargets roi_targets(const DetectorSpec& spec, std::vector<BoundingBox> proposals, const TrueBoxes& truth,
                       int32_t background, RandomWords random);

}  // namespace retort
