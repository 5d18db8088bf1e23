#include "cli/data_choice.h"

#include <algorithm>

#include "cli/setting_options.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "models/network_input.h"

namespace retort {

DataChoice::DataChoice(Options& options) {
  options.value("--set", "KEY=VALUE", "data.decoder: stb, turbo, auto; data.test_resize: shorter side",
                [this](const std::string& given) { add(given); });
}

void DataChoice::add(const std::string& given) {
  const std::string key = given.substr(0, given.find('='));
  const std::vector<std::string> keys = {"data.decoder", "data.size", "data.test_resize", "data.val_labels"};
  check(
      std::find(keys.begin(), keys.end(), key) != keys.end(), Fault::usage, "--set ", given,
      ": expected data.decoder=stb, turbo or auto, data.test_resize=N, data.size=N or data.val_labels=FILE");
  given_.push_back(key_and_value(given));
  DataSettings checked;
  apply(checked);
}

void DataChoice::apply(DataSettings& data) const {
  RunSettings settings;
  settings.data = data;
  for (const auto& [key, value] : given_) set_key(settings, key, value);
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
  DataSettings data;
  apply(data);
  return data.size;
}

}  // namespace retort
