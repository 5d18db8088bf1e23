#include "datasets/detection/coco_spec.h"

#include <utility>

#include "engine/base/check.h"

namespace retort {

namespace {

constexpr std::pair<const char*, std::string DetectionFiles::*> names[] = {
    {",train=", &DetectionFiles::train_json},
    {",test=", &DetectionFiles::test_json},
    {",images=", &DetectionFiles::images}};

// Where the next name stands, and which: the spec's end and none behind the last.
std::pair<size_t, std::string DetectionFiles::*> next_name(const std::string& spec, size_t from) {
  std::pair<size_t, std::string DetectionFiles::*> next{spec.size(), nullptr};
  for (const auto& [name, file] : names)
    if (const size_t at = spec.find(name, from); at < next.first) next = {at, file};
  return next;
}

}  // namespace

CocoSpec CocoSpec::parse(const std::string& spec) {
  CocoSpec parsed;
  const size_t begin = spec.find(':') + 1;
  auto [at, file] = next_name(spec, begin);
  parsed.folder = spec.substr(begin, at - begin);
  while (file) {
    const size_t value = spec.find('=', at) + 1;
    const auto [end, after] = next_name(spec, value);
    check(end > value, Fault::usage, "data set '", spec, "': nothing stands behind '",
          spec.substr(at + 1, value - at - 1), "'; expected train=FILE, test=FILE or images=FOLDER");
    parsed.files.*file = spec.substr(value, end - value);
    at = end;
    file = after;
  }
  return parsed;
}

void CocoSpec::lay(const DetectionFiles& others) {
  for (const auto& [name, file] : names)
    if (!(others.*file).empty()) files.*file = others.*file;
}

std::string CocoSpec::spec() const {
  std::string all = "coco:" + folder;
  for (const auto& [name, file] : names)
    if (!(files.*file).empty()) all += name + files.*file;
  return all;
}

}  // namespace retort
