// The options that make up RunSettings: --config, a flag per key that has one, --set.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/options.h"
#include "distill/settings/settings.h"

namespace retort {

class SettingOptions {
 public:
  // Declares them for train or distill. Lives as long as the options.
  SettingOptions(const std::string& command, Options& options);

  // Defaults, then the recipe, then the file, then the flags, then --set.
  RunSettings settings() const;

  // --keys, --recipe list or --print-config was given: what it asks for is printed, and nothing else to be
  // done.
  bool show() const;

  // The options given by name, for messages.
  std::vector<std::string> given() const;
  // Whether a flag, --set or the file of --config gave the key a value.
  bool has(const std::string& key) const;
  // The value of a flag, if it was given.
  const std::string* find(const std::string& key) const;

 private:
  // All that was given, on these defaults.
  void lay(RunSettings& settings) const;

  std::string command_, recipe_, config_;
  bool keys_ = false, print_ = false;
  struct Given {
    std::string key, flag, value;
  };
  std::vector<Given> flags_;
  std::vector<std::string> sets_;
  std::map<std::string, bool> switches_;  // by key
};

// "KEY=VALUE" in two; Error(Fault::usage) otherwise.
std::pair<std::string, std::string> key_and_value(const std::string& text);

}  // namespace retort
