// Pictures with objects in boxes: what detectors are trained and scored on.
#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <optional>
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
  std::filesystem::path folder = {};  // of the images' files; empty where they are drawn

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

// What training sees of a box, which is within its picture; nothing where no more than 1e-5 pixels are left
// of a side, or none in f32.
std::optional<CocoRect> learned_from(const CocoRect& box, const CocoImage& image);

// Of every image of a part, what training learns from: no crowds, boxes as learned_from() has them.
std::vector<std::vector<DetectionObject>> objects_of(const DetectionPart& part);

}  // namespace retort
