// "coco:DIR,train=FILE,test=FILE,images=FOLDER": a set in COCO's format, and those of its files that have
// other names than COCO's own.
#pragma once
#include <string>

#include "datasets/detection/open_detection.h"

namespace retort {

struct CocoSpec {
  std::string folder;  // DIR, which may hold commas: only ",train=", ",test=" and ",images=" end it
  DetectionFiles files;

  // Of a spec that begins with "coco:". Of a name that stands twice the last counts. Fault::usage for one
  // without a value.
  static CocoSpec parse(const std::string& spec);
  static bool is_one(const std::string& spec) { return spec.starts_with("coco:"); }

  // Those of `others` that are named, over its own.
  void lay(const DetectionFiles& others);
  std::string spec() const;
};

}  // namespace retort
