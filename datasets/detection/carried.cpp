#include "datasets/detection/carried.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "datasets/detection/coco_spec.h"
#include "engine/base/check.h"

namespace retort {

DataSet carried_boxes(const std::string& spec, Parts parts, Decoder decoder, bool pictures_alone) {
  std::string sought = spec;
  DetectionFiles files;
  if (CocoSpec::is_one(spec)) {
    const CocoSpec named = CocoSpec::parse(spec);
    std::error_code ignored;
    check(named.folder.find(',') == std::string::npos || std::filesystem::exists(named.folder, ignored),
          Fault::input, "data set '", spec, "': no such folder as '", named.folder,
          "'; behind a folder may stand ,train=FILE ,test=FILE and ,images=FOLDER");
    sought = "coco:" + named.folder;
    files = named.files;
  }
  auto data = std::make_shared<DetectionData>(open_detection(sought, files, parts, decoder, pictures_alone));
  DataSet set;
  set.name = data->name;
  for (ImageSet* part : {&set.train, &set.test}) {
    part->classes = int(data->categories.size());
    for (const CocoCategory& category : data->categories) part->class_names.push_back(category.name);
    part->mean = data->mean;
    part->stddev = data->stddev;
  }
  set.boxes_hash = data->hash();
  set.notes = data->notes;
  set.boxes = std::move(data);
  return set;
}

}  // namespace retort
