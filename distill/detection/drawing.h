// Detections painted on their picture, for people.
#pragma once
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"
#include "datasets/readers/coco.h"

namespace retort {

struct DrawnBox {
  CocoRect box;  // in the picture's pixels
  std::string label;
  int colour = 0;  // boxes of one number have one colour
};

// The picture with the boxes and their labels, the last on top. A small picture is made larger by a whole
// factor, and lines and letters grow with a large one, so that labels can be read at any size.
Image with_boxes(const Image& picture, const std::vector<DrawnBox>& boxes);

}  // namespace retort
