#include "cli/data_choice.h"

#include <algorithm>

#include "cli/setting_options.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"

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

int64_t DataChoice::size() const {
  DataSettings data;
  apply(data);
  return data.size;
}

}  // namespace retort
