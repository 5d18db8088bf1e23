#include "datasets/detection/carried.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "datasets/detection/open_detection.h"
#include "engine/base/check.h"

namespace retort {

DataSet carried_boxes(const std::string& spec, Parts parts, Decoder decoder) {
  const size_t comma = spec.starts_with("coco:") ? spec.find(',') : spec.npos;
  DetectionFiles files;
  for (size_t begin = comma; begin != spec.npos;) {
    const size_t end = spec.find(',', begin + 1);
    const std::string option = spec.substr(begin + 1, end == spec.npos ? end : end - begin - 1);
    const size_t equals = std::min(option.find('='), option.size());
    const std::string key = option.substr(0, equals),
                      value = option.substr(std::min(equals + 1, option.size()));
    std::string* const to = key == "train"    ? &files.train_json
                            : key == "test"   ? &files.test_json
                            : key == "images" ? &files.images
                                              : nullptr;
    check(to && !value.empty(), Fault::usage, "data set '", spec, "': '", option,
          "' is not known; expected train=FILE, test=FILE or images=FOLDER");
    *to = value;
    begin = end;
  }
  auto data = std::make_shared<DetectionData>(open_detection(spec.substr(0, comma), files, parts, decoder));
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
