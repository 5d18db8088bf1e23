// Anchors: the boxes that region proposals start from, and the pyramid level that a box is assigned to.
#pragma once
#include "models/detection/boxes.h"
#include "models/detection/detector_spec.h"

namespace retort {

// Places along a side of a level where the input has `side` pixels, a multiple of the coarsest level that a
// backbone makes; a level above those takes every second place.
int64_t places(const DetectorSpec& spec, int level, int64_t side);

// Of an input of the sides given, padding included: levels from the finest, then y, x, ratio. The anchors of
// place (i, j) are centred at (j stride, i stride), of area size^2: width sqrt(size^2 / ratio), height ratio
// width.
std::vector<BoundingBox> make_anchors(const DetectorSpec& spec, int64_t height, int64_t width);

// The anchors of the inputs that come one after another, mostly of one size: the last size's are kept. The
// spec must outlive it.
class Anchors {
 public:
  explicit Anchors(const DetectorSpec& spec) : spec_(spec) {}
  // As make_anchors; valid until the next call.
  const std::vector<BoundingBox>& of(int64_t height, int64_t width);

 private:
  const DetectorSpec& spec_;
  int64_t height_ = 0, width_ = 0;
  std::vector<BoundingBox> boxes_;
};

// The level, from 0, that a box is assigned to: Lin et al., Feature Pyramid Networks, arXiv:1612.03144,
// equation 1.
int level_of(const DetectorSpec& spec, const BoundingBox& box);

}  // namespace retort
