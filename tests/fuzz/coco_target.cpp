// Boxes in COCO's format. First byte: odd, what a detector says of three images; even, annotations.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "datasets/readers/coco.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::logic_error(what);
}

void require_box(const CocoRect& box) {
  for (const double value : {box.x, box.y, box.width, box.height})
    require(std::isfinite(value), "a box that is not finite was taken");
  require(box.width >= 0 && box.height >= 0, "a box with a negative side was taken");
}

template <class Item>
bool holds(const std::vector<Item>& ascending, int64_t id) {
  const auto before = [](const Item& item, int64_t wanted) { return item.id < wanted; };
  const auto found = std::lower_bound(ascending.begin(), ascending.end(), id, before);
  return found != ascending.end() && found->id == id;
}

void require_sound(const CocoAnnotations& all) {
  for (size_t i = 1; i < all.images.size(); ++i)
    require(all.images[i - 1].id < all.images[i].id, "ids of images do not ascend");
  for (size_t i = 1; i < all.categories.size(); ++i)
    require(all.categories[i - 1].id < all.categories[i].id, "ids of categories do not ascend");
  for (const CocoAnnotation& one : all.annotations) {
    require_box(one.box);
    require(std::isfinite(one.area) && one.area >= 0, "an area that there cannot be was taken");
    require(holds(all.images, one.image) && holds(all.categories, one.category),
            "an annotation of what there is not was taken");
  }
}

}  // namespace

void read_coco(Bytes bytes) {
  static MemoryFile place;
  const bool results = take<uint8_t>(bytes) & 1;
  const std::filesystem::path& file = place.holding(bytes);
  if (!results) {
    require_sound(read_coco_annotations(file));
    return;
  }
  CocoAnnotations annotated;
  for (const int64_t id : {1, 2, 7}) {
    annotated.images.push_back({.id = id, .file_name = {}, .width = 8, .height = 6});
    annotated.categories.push_back({id, "class"});
  }
  const CocoResults found = read_coco_results(file, annotated);
  for (const CocoDetection& one : found.detections) {
    require_box(one.box);
    require(std::isfinite(one.score), "a score that is not finite was taken");
    require(holds(annotated.images, one.image) && holds(annotated.categories, one.category),
            "a result of what there is not was taken");
  }
}

}  // namespace retort::fuzz
