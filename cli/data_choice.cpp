#include "cli/data_choice.h"

#include <algorithm>

#include "cli/setting_options.h"
#include "datasets/detection/coco_spec.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "models/network_input.h"

namespace retort {

DataChoice::DataChoice(Options& options) {
  options.value("--set", "KEY=VALUE", "data.decoder, size, test_resize; train_json, test_json, images",
                [this](const std::string& given) { add(given); });
}

void DataChoice::add(const std::string& given) {
  const std::string key = given.substr(0, given.find('='));
  const std::vector<std::string> keys = {"data.decoder",    "data.size",       "data.test_resize",
                                         "data.val_labels", "data.train_json", "data.test_json",
                                         "data.images"};
  check(
      std::find(keys.begin(), keys.end(), key) != keys.end(), Fault::usage, "--set ", given,
      ": expected data.decoder=stb, turbo or auto, data.test_resize=N, data.size=N, data.val_labels=FILE, or "
      "of coco:DIR data.train_json=FILE, data.test_json=FILE, data.images=FOLDER");
  const auto [name, value] = key_and_value(given);
  RunSettings checked;
  set_key(checked, name, value);
  given_.emplace_back(name, value);
}

void DataChoice::apply(DataSettings& data) const {
  RunSettings settings;
  settings.data = data;
  for (const auto& [key, value] : given_) {
    const bool file = key == "data.train_json" || key == "data.test_json" || key == "data.images";
    check(!file || CocoSpec::is_one(data.spec), Fault::usage, "--set ", key, "=", value,
          ": it names a file of coco:DIR, and the data are ", data.spec.empty() ? "none" : data.spec,
          "; name those with --data coco:DIR");
  }
  set_data_keys(settings, given_);
  data = settings.data;
}

void DataChoice::put_into(Weights& weights, const std::string& network, const DataSettings& data,
                          int64_t fixed_side) {
  check(fixed_side == 0 || data.size == 0 || data.size == fixed_side, Fault::usage, "data.size is ",
        data.size, ", and ", weights.source, " sees images of side ", fixed_side, " alone");
  check(data.size == 0 || (data.size >= least_side && data.size <= most_side), Fault::usage, "data.size is ",
        data.size, ", expected pixels, ", least_side, " to ", most_side);
  set_input(weights.file.metadata, data.size, 0);
  if (data.test_resize == 0) return;
  const int64_t side = input_of(weights, network).size;
  check(data.test_resize >= side && data.test_resize <= 4 * most_side, Fault::usage, "data.test_resize is ",
        data.test_resize, ", expected at least ", side, ", the side of the images that ", network,
        " sees, and at most ", 4 * most_side);
  set_input(weights.file.metadata, 0, data.test_resize);
}

int64_t DataChoice::size() const {
  RunSettings settings;
  for (const auto& [key, value] : given_) set_key(settings, key, value);
  return settings.data.size;
}

}  // namespace retort
