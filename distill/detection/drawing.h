// Detections painted on their picture, for people.
#pragma once
#include <string>
#include <string_view>
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

// As far as labels can be drawn, in printable ASCII: a Latin letter without its marks, one '?' for any other
// character, a control character too, and for bytes that are no UTF-8 as far as they belong together.
std::string drawable(std::string_view text);

// Names of files for pictures with boxes, one for each of `images`, no two the same: NAME.png for a picture
// DIR/NAME.jpg, NAME-ID.png where several have one NAME.
std::vector<std::string> drawn_names(const std::vector<CocoImage>& images);

}  // namespace retort
