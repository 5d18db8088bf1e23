// The embedded data set of boxes: 128x128 colour pictures drawn by the program, several figures on each.
#pragma once
#include <filesystem>

#include "datasets/detection/detection_set.h"
#include "datasets/readers/synthetic.h"

namespace retort {

// 1920 training and 480 test pictures.
SyntheticOptions scenes_defaults();

// One to six figures of the 24 classes of the synthetic images, the longer sides of their boxes 14 to 80
// pixels, spread evenly in the logarithm, no two boxes with an IoU above .3; clutter that counts as
// background. A box bounds the whole figure, covered parts too; its area is the figure's pixels. On 3 % of
// the pictures there is a crowd as well: many tiny figures of one class in one box. Picture i is a pure
// function of (seed, part, i), the same bytes on every platform.
DetectionData draw_scenes(const SyntheticOptions& options, Parts parts = Parts::both);

// Writes a data set as COCO has it: annotations/instances_{train,val}2017.json and PNGs in train2017 and
// val2017.
void export_coco(const DetectionData& data, const std::filesystem::path& folder);

}  // namespace retort
