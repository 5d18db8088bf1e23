// Boxes of objects in COCO's format (cocodataset.org/#format-data): the annotations of images, and what a
// detector says of them. Files are streamed: COCO's own have 450 MB, most of it outlines that no box needs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

// Left upper corner and sides, in pixels; a side may be 0.
struct CocoRect {
  double x = 0, y = 0, width = 0, height = 0;
};

struct CocoImage {
  int64_t id = 0;
  std::string file_name;          // empty if the file does not say
  int64_t width = 0, height = 0;  // 0 if the file does not say
};

struct CocoCategory {
  int64_t id = 0;
  std::string name;  // its id where the file has none
};

struct CocoAnnotation {
  int64_t id = 0, image = 0, category = 0;  // ids
  CocoRect box;
  double area = 0;     // of the outline where the file has it, else of the box
  bool crowd = false;  // COCO's iscrowd: one box around many objects
};

struct CocoAnnotations {
  std::vector<CocoImage> images;            // ascending ids
  std::vector<CocoCategory> categories;     // ascending ids
  std::vector<CocoAnnotation> annotations;  // as the file has them
};

struct CocoDetection {
  int64_t image = 0, category = 0;  // ids
  CocoRect box;
  double score = 0;
};

// Fault::input, naming the file and the id, for what is no JSON or lacks one of the three lists, a number
// that is missing, not finite (NaN, Infinity, 1e400) or not whole, a negative side, an id that stands twice
// or is not there. pictures_alone: the list of annotations may be missing.
CocoAnnotations read_coco_annotations(const std::filesystem::path& path, bool pictures_alone = false);

struct CocoResults {
  std::vector<CocoDetection> detections;  // as the file has them
  int64_t of_unknown_categories = 0;      // left out: detectors know more classes than a data set has
};

// A list of {image_id, category_id, bbox, score}. Fault::input as above, naming a result by its number from 1
// on, and for an image that is not among the annotated ones.
CocoResults read_coco_results(const std::filesystem::path& path, const CocoAnnotations& annotations);

}  // namespace retort
