// What a detector's networks, targets and proposals agree on.
#pragma once
#include <cstdint>
#include <vector>

namespace retort {

// The defaults are detectron2's for a feature pyramid on COCO.
struct DetectorSpec {
  // Anchors: a size per level, from the finest, which has a place every `finest_stride` pixels; each level
  // after it half as many along a side.
  std::vector<double> sizes = {32, 64, 128, 256, 512};
  int finest_stride = 4;
  std::vector<double> ratios = {0.5, 1, 2};  // height / width
  int pad_multiple = 32;                     // sides of a batch are rounded up to it

  // Pictures: the shorter side, drawn anew each time in training; none: as they are. The longer side is at
  // most longest_side all the same.
  std::vector<int> train_sides = {640, 672, 704, 736, 768, 800}, test_sides = {800};
  int longest_side = 1333;

  // Proposals.
  int rpn_samples = 256;  // anchors of an image that are learned from in a step, at most half of them objects
  float rpn_background = 0.3f, rpn_object = 0.7f;  // IoU below and from which an anchor is one
  float proposal_overlap = 0.7f;                   // IoU from which on the worse proposal of a level goes
  int candidates_train = 2000, candidates_test = 1000;  // of a level, before that
  int proposals_train = 1000, proposals_test = 1000;    // of an image

  // Boxes of classes.
  int roi_samples = 512;                            // of an image in a step
  double roi_objects = 0.25;                        // of them at most
  float roi_object = 0.5f;                          // IoU from which a proposal is an object
  int roi_levels = 4;                               // boxes are assigned to the finest so many levels
  double canonical_side = 224;                      // of a box assigned to the third of these levels
  int roi_size = 7;                                 // bins along a side of what is pooled from a box
  float least_score = 0.05f, class_overlap = 0.5f;  // of a detection
  int detections = 100;                             // of an image

  int levels() const { return int(sizes.size()); }
  // Of a level, in pixels.
  int stride(int level) const { return finest_stride << level; }
};

}  // namespace retort
