// Pictures with objects in boxes: what detectors are trained and scored on.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"
#include "datasets/image_set.h"
#include "datasets/readers/coco.h"

namespace retort {

// One part, training or test. Image numbers are places in annotations.images.
struct DetectionPart {
  CocoAnnotations annotations;  // heights and widths of all images are known
  // Decodes or draws image number i, upright; may be called by several threads at once. Fault::input, naming
  // file and id, if it is not as high and wide as the annotations say.
  std::function<Image(int64_t image)> picture;

  int64_t size() const { return int64_t(annotations.images.size()); }
};

// An object to learn from: its box within the picture, and its category's number from 0.
struct DetectionObject {
  CocoRect box;
  int32_t label = 0;
};

struct DetectionData {
  std::string name;                      // "scenes", "coco"
  std::vector<CocoCategory> categories;  // ascending ids; of both parts
  DetectionPart train, test;
  // Per channel, in units of 1 = 255: what networks that know no better see images with.
  std::array<float, 3> mean{}, stddev{1, 1, 1};
  std::vector<std::string> notes;  // for the user

  uint64_t hash() const;  // of categories, boxes, names and sizes of both parts
};

// Of every image of a part, what training learns from: no crowds, boxes clipped to the picture, none of which
// nothing is left.
std::vector<std::vector<DetectionObject>> objects_of(const DetectionPart& part);

}  // namespace retort
