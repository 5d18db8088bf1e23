#include "cli/setting_options.h"

#include <algorithm>

#include "cli/key_sheet.h"
#include "cli/output.h"
#include "distill/methods/registry.h"
#include "distill/settings/recipe_names.h"
#include "distill/settings/setting_keys.h"
#include "distill/settings/toml_file.h"
#include "distill/study/places.h"
#include "engine/base/check.h"

namespace retort {

namespace {

// key: "data.spec".
bool names_key(const TomlValue& table, const std::string& key) {
  const size_t dot = key.find('.');
  const TomlValue* found = table.find(key.substr(0, dot));
  return found &&
         (dot == key.npos || (found->kind == TomlValue::table && names_key(*found, key.substr(dot + 1))));
}

}  // namespace

SettingOptions::SettingOptions(const std::string& command, Options& options) : command_(command) {
  const RunSettings defaults = default_settings(command);
  const bool distill = command == "distill";
  const auto flag = [&](const std::string& key, const std::string& names, const std::string& value,
                        const std::string& help, const std::string& fallback) {
    options.value(
        names, value, help,
        [this, key, names](const std::string& given) {
          flags_.push_back({key, names, given});
        },
        fallback);
  };
  for (const SettingKey& key : setting_keys()) {
    if (key.flag.empty()) continue;
    if (key.name.starts_with("teacher") && !distill) continue;
    // --mean and --std are those of the weights that the command reads.
    if (distill && (key.name == "data.mean" || key.name == "data.std")) continue;
    const size_t space = key.flag.find(' ');
    if (space == std::string::npos) {  // a switch
      options.flag(key.flag, key.help, switches_[key.name]);
      continue;
    }
    const bool student = key.name == "model" && distill;
    flag(key.name, student ? "--student" : key.flag.substr(0, space), key.flag.substr(space + 1), key.help,
         get_key(defaults, key));
    if (key.name == "teacher_model")
      flag("method.name", "--method", "NAME", "kd, dkd, pcd, ...: `retort info --methods`",
           defaults.method.method().name);
  }
  if (distill) {
    options.elsewhere("--model", "the network to train is --student, the teacher's --teacher-model");
  } else {
    for (const char* name : {"--teacher", "--method", "--student", "--teacher-model", "--teacher-source"})
      options.elsewhere(name, "it belongs to `retort distill`");
  }
  options.text("--recipe", "NAME", "list shows all", recipe_);
  options.text("--config", "FILE", "settings from TOML", config_);
  options.value("--set", "KEY=VALUE", "any key, repeatable",
                [this](const std::string& given) { sets_.push_back(given); });
  options.flag("--keys", "keys of --set", keys_);
  options.flag("--print-config", "show, do not run", print_);
}

RunSettings SettingOptions::settings() const {
  return composed_settings(command_, [this](RunSettings& settings) { lay(settings); });
}

void SettingOptions::lay(RunSettings& settings) const {
  const auto check_command = [&](const std::string& file) {
    check(settings.command == command_, Fault::usage, file, ": is of `retort ", settings.command,
          "`, not of `retort ", command_, "`");
  };
  if (!recipe_.empty()) {
    read_settings(recipe_file(recipe_), settings);
    check_command("recipe " + recipe_);
  }
  if (!config_.empty()) {
    read_settings(config_, settings);
    check_command(config_);
    // Of a run's config.toml: what it names lies where the run finds it.
    if (!settings.typed_in.empty())
      settings = placed(settings, std::filesystem::absolute(config_).parent_path());
    settings.typed_in.clear();
  }
  // A method decides which keys there are, so it comes first wherever it stands.
  const std::string method = "method.name";
  for (const bool methods_turn : {true, false}) {
    for (const Given& flag : flags_) {
      if ((flag.key == method) == methods_turn) set_key(settings, flag.key, flag.value);
    }
  }
  for (const auto& [key, on] : switches_) {
    if (on) set_key(settings, key, "true");
  }
  for (const bool methods_turn : {true, false}) {
    for (const std::string& set : sets_) {
      const auto [key, value] = key_and_value(set);
      if ((key == method) == methods_turn) set_key(settings, key, value);
    }
  }
  check(settings.command == command_, Fault::usage, "command cannot be set; use `retort ", settings.command,
        "`");
}

bool SettingOptions::show() const {
  if (keys_)
    print(keys_text(key_sheets(command_, settings().method.method())));
  else if (recipe_ == "list")
    print(describe_recipes());
  else if (print_)
    print(settings_toml(settings()));
  else
    return false;
  return true;
}

std::vector<std::string> SettingOptions::given() const {
  std::vector<std::string> names;
  if (!recipe_.empty()) names.push_back("--recipe");
  if (!config_.empty()) names.push_back("--config");
  for (const Given& flag : flags_) names.push_back(flag.flag);
  for (const auto& [key, on] : switches_) {
    if (on) names.push_back("--" + key);
  }
  if (!sets_.empty()) names.push_back("--set");
  return names;
}

bool SettingOptions::has(const std::string& key) const {
  const auto sets_it = [&](const std::string& set) { return set.starts_with(key + "="); };
  return find(key) || std::any_of(sets_.begin(), sets_.end(), sets_it) ||
         (!config_.empty() && names_key(read_toml(config_), key));
}

const std::string* SettingOptions::find(const std::string& key) const {
  for (auto flag = flags_.rbegin(); flag != flags_.rend(); ++flag) {
    if (flag->key == key) return &flag->value;
  }
  return nullptr;
}

std::pair<std::string, std::string> key_and_value(const std::string& text) {
  const size_t equals = text.find('=');
  check(equals != std::string::npos && equals > 0, Fault::usage, "--set is '", text, "', expected KEY=VALUE");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace retort
