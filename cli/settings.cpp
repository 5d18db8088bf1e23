#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/key_sheet.h"
#include "engine/base/check.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const std::vector<KeySheet>& sheets) {
  Json keys = Json::array();
  for (const KeySheet& sheet : sheets) {
    keys.push_back({{"key", sheet.name},
                    {"type", sheet.type},
                    {"expected", sheet.expected},
                    {"choices", sheet.choices},
                    {"default", sheet.fallback.empty() ? Json(nullptr) : Json(sheet.fallback)},
                    {"help", sheet.help},
                    {"flag", sheet.flag.empty() ? Json(nullptr) : Json(sheet.flag)},
                    {"commands", sheet.commands},
                    {"methods", sheet.methods},
                    {"changes_result", sheet.decides}});
  }
  return {{"keys", keys}};
}

}  // namespace

int run_settings(const Arguments& arguments) {
  Options options("settings", "what can be set: default, type and range, meaning, [commands]",
                  {"retort settings", "retort settings temperature", "retort settings 'optimizer.*' --json"});
  std::vector<std::string> patterns;
  bool json = false;
  options.positional("PATTERN", "part of a key, flag or help; a method; with * or ? a whole key", patterns);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(patterns.size() <= 1, Fault::usage, "settings: ", patterns.size(),
        " patterns are given, expected one");
  const std::vector<KeySheet> sheets = patterns.empty() ? key_sheets() : matching(key_sheets(), patterns[0]);
  json ? print_json(json_of(sheets)) : print(keys_text(sheets));
  return 0;
}

}  // namespace retort
