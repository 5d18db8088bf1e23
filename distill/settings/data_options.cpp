#include "distill/settings/data_options.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <tuple>

#include "engine/base/check.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "models/detection/detector.h"
#include "models/network_input.h"

namespace retort {
namespace {

constexpr int imagenet_side = 224;
constexpr double gib = double(int64_t(1) << 30);

// "LEAST MOST", ascending and above 0; what is there stays where nothing is given.
void parse_range(const char* key, std::string text, double most, const char* usual,
                 std::array<double, 2>& range) {
  if (text.empty()) return;
  const std::string given = text;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == ',' || c == '[' || c == ']'; }, ' ');
  std::istringstream in(text);
  std::string rest;
  const bool two = bool(in >> range[0] >> range[1]) && !(in >> rest);
  check(two && range[0] > 0 && range[0] <= range[1] && range[1] <= most, Fault::usage, key, " is '", given,
        "', expected two numbers, the least and the most, above 0 and at most ", most, ", as \"", usual,
        "\"");
}

DataOptions of_network(const DataSettings& data, const std::string& name) {
  DataOptions options;
  options.size = data.size;
  options.network_size = int(own_side(name));
  options.resize = data.test_resize;
  options.decoder = decoder_named(data.decoder);
  parse_range("data.scale", data.scale, 1, "0.08 1", options.photo.scale);
  parse_range("data.ratio", data.ratio, 1000, "0.75 1.3333", options.photo.ratio);
  options.skips_bad = data.bad == "skip";
  options.test_labels = data.val_labels;
  options.imagenet_numbers = options.network_size == imagenet_side;
  options.known_numbers = !data.mean.empty();
  return options;
}

}  // namespace

int test_workers(const DataSettings& data, const ImageSet& images) {
  return images.in_memory() ? 1 : std::max(1, data.workers);
}

int64_t photo_cache_bytes(const DataSettings& data) {
  if (data.cache_gib < 0) return memory_limit() / 4;
  return int64_t(data.cache_gib * gib);
}

DataOptions data_options(const RunSettings& settings) {
  if (is_detector(settings.model)) return box_options(settings.data, Parts::both);
  DataOptions options = of_network(settings.data, settings.model);
  options.random_crops = settings.data.augment == "resized-crop";
  options.cache_bytes = photo_cache_bytes(settings.data);
  options.threads = settings.threads;
  return options;
}

DataOptions box_options(const DataSettings& data, Parts parts) {
  const DataSettings usual;
  const std::tuple<const char*, bool, const char*> others[] = {
      {"data.test_resize", data.test_resize != usual.test_resize,
       "nothing is cut out of them; data.size is their shorter side"},
      {"data.scale", data.scale != usual.scale, "nothing is cut out of them"},
      {"data.ratio", data.ratio != usual.ratio, "nothing is cut out of them"},
      {"data.views", data.views != usual.views, "they are flipped and resized anew each time"},
      {"data.cache_gib", data.cache_gib != usual.cache_gib, "they are decoded anew each time"},
      {"data.bad", data.bad != usual.bad,
       "none is passed over; take those that are bad out of the annotations"},
      {"data.val_labels", data.val_labels != usual.val_labels,
       "their boxes stand in the annotations (data.test_json)"}};
  for (const auto& [key, is_set, why] : others)
    check(!is_set, Fault::usage, key, " is not for the pictures of detectors: ", why);
  return {.parts = parts, .decoder = decoder_named(data.decoder)};
}

int64_t compared_classes(const RunSettings& settings, const DataSet& data) {
  return data.train.classes + (data.boxes && settings.method_boxes.background ? 1 : 0);
}

DataOptions test_options(const DataSettings& data, const Weights& weights, const std::string& network) {
  DataOptions options = of_network(data, network);
  options.parts = Parts::test;
  const auto known = [&](const char* key, int& value) {
    const std::string* text = weights.metadata(key);
    if (value == 0 && text && !parse(*text, value)) value = 0;
  };
  // Cut out of a larger picture only where that is of the same size.
  if (options.size == 0 ||
      (weights.metadata("size") && *weights.metadata("size") == std::to_string(options.size)))
    known("test_resize", options.resize);
  known("size", options.size);
  options.known_numbers = options.known_numbers || weights.metadata("mean");
  return options;
}

}  // namespace retort
