#include <nlohmann/json.hpp>

#include "datasets/detection/scenes.h"
#include "datasets/formats/png_writer.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, Fault::write, folder.string(), ": cannot be made: ", error.message());
}

void export_part(const DetectionPart& part, const fs::path& folder, const std::string& name) {
  make_folder(folder / name);
  Json images = Json::array(), annotations = Json::array(), categories = Json::array();
  for (int64_t i = 0; i < part.size(); ++i) {
    const CocoImage& image = part.annotations.images[size_t(i)];
    write_png(folder / name / image.file_name, part.picture(i));
    images.push_back(
        {{"id", image.id}, {"file_name", image.file_name}, {"height", image.height}, {"width", image.width}});
  }
  for (const CocoAnnotation& a : part.annotations.annotations)
    annotations.push_back({{"id", a.id},
                           {"image_id", a.image},
                           {"category_id", a.category},
                           {"bbox", {a.box.x, a.box.y, a.box.width, a.box.height}},
                           {"area", a.area},
                           {"iscrowd", a.crowd ? 1 : 0}});
  for (const CocoCategory& c : part.annotations.categories)
    categories.push_back({{"id", c.id}, {"name", c.name}});
  write_file(
      folder / "annotations" / text("instances_", name, ".json"),
      Json{{"images", images}, {"annotations", annotations}, {"categories", categories}}.dump() + "\n");
}

}  // namespace

void export_coco(const DetectionData& data, const fs::path& folder) {
  make_folder(folder / "annotations");
  export_part(data.train, folder, "train2017");
  export_part(data.test, folder, "val2017");
}

}  // namespace retort
