#include "cli/key_sheet.h"

#include <algorithm>
#include <cctype>

#include "distill/methods/registry.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

namespace retort {

namespace {

std::string lower(std::string word) {
  for (char& c : word) c = char(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

// Whether all of `name` is what the pattern stands for: * any letters, ? any one.
bool fits(const char* pattern, const char* name) {
  if (*pattern == '*') return fits(pattern + 1, name) || (*name && fits(pattern, name + 1));
  if (!*name) return !*pattern;
  return (*pattern == '?' || *pattern == *name) && fits(pattern + 1, name + 1);
}

// What every key says of itself.
KeySheet sheet_of(const KeyType& key) {
  return {.name = key.name,
          .type = name_of(key.kind),
          .expected = expected(key),
          .fallback = key.fallback,
          .help = key.help,
          .flag = "",
          .choices = key.choices,
          .commands = {},
          .methods = {},
          .decides = key.effect == KeyEffect::result};
}

KeySheet sheet_of(const SettingKey& key) {
  KeySheet sheet = sheet_of(static_cast<const KeyType&>(key));
  sheet.flag = key.flag;
  sheet.commands = {"train", "distill", "compare"};
  if (key.name.starts_with("teacher")) sheet.commands = {"distill", "compare"};
  if (said_by_study(key.name)) sheet.commands.pop_back();
  return sheet;
}

// Who takes keys of a method: a run with a teacher or alone, and `loss`, which leaves cross-entropy and
// warm-up out.
std::vector<std::string> commands_of(const MethodInfo& method, const std::string& key) {
  std::vector<std::string> commands = {method.reads.teacher ? "distill" : "train", "compare"};
  if (!method.reads.features && key != "ce_weight" && key != "warmup") commands.push_back("loss");
  return commands;
}

KeySheet sheet_of(const MethodInfo& method, const MethodKey& key) {
  KeySheet sheet = sheet_of(key);
  sheet.name = "method." + key.name;
  sheet.commands = commands_of(method, key.name);
  sheet.methods = {method.name};
  return sheet;
}

KeySheet name_sheet() {
  std::vector<std::string> names;
  for (const MethodInfo& method : methods()) names.push_back(method.name);
  return {.name = "method.name",
          .type = "choice",
          .expected = "one of " + join(names),
          .fallback = default_settings("distill").method.method().name,
          .help = "the method; it decides which other keys there are; train without a teacher: ce",
          .flag = "--method NAME",
          .choices = names,
          .commands = {"train", "distill", "loss"},
          .methods = {}};
}

}  // namespace

std::vector<KeySheet> key_sheets() {
  std::vector<KeySheet> sheets;
  for (const SettingKey& key : setting_keys()) sheets.push_back(sheet_of(key));
  sheets.push_back(name_sheet());
  const size_t first = sheets.size();
  for (const MethodInfo& method : methods()) {
    for (const MethodKey& key : method.keys) {
      const KeySheet sheet = sheet_of(method, key);
      const auto same = std::find_if(sheets.begin() + long(first), sheets.end(), [&](const KeySheet& other) {
        return other.name == sheet.name && other.fallback == sheet.fallback && other.help == sheet.help &&
               other.expected == sheet.expected && other.commands == sheet.commands;
      });
      if (same == sheets.end())
        sheets.push_back(sheet);
      else
        same->methods.push_back(method.name);
    }
  }
  std::stable_sort(sheets.begin() + long(first), sheets.end(),
                   [](const KeySheet& a, const KeySheet& b) { return a.name < b.name; });
  return sheets;
}

std::vector<KeySheet> key_sheets(const std::string& command, const MethodInfo& method) {
  std::vector<KeySheet> sheets;
  for (const SettingKey& key : setting_keys()) {
    KeySheet sheet = sheet_of(key);
    if (std::count(sheet.commands.begin(), sheet.commands.end(), command) > 0)
      sheets.push_back(std::move(sheet));
  }
  sheets.push_back(name_sheet());
  for (const MethodKey& key : method.keys) sheets.push_back(sheet_of(method, key));
  return sheets;
}

std::vector<KeySheet> matching(const std::vector<KeySheet>& sheets, const std::string& pattern) {
  const std::string wanted = lower(pattern);
  const bool whole = wanted.find_first_of("*?") != std::string::npos;
  const auto holds = [&](const std::string& text) { return lower(text).find(wanted) != std::string::npos; };
  std::vector<KeySheet> found;
  for (const KeySheet& sheet : sheets) {
    const bool meant = whole ? fits(wanted.c_str(), lower(sheet.name).c_str())
                             : holds(sheet.name) || holds(sheet.flag) || holds(sheet.help) ||
                                   std::count(sheet.methods.begin(), sheet.methods.end(), wanted) > 0;
    if (meant) found.push_back(sheet);
  }
  if (!found.empty()) return found;
  // A slip of a whole name, or of what stands behind its last point.
  std::vector<std::string> names, ends;
  for (const KeySheet& sheet : sheets) {
    names.push_back(sheet.name);
    ends.push_back(sheet.name.substr(sheet.name.rfind('.') + 1));
  }
  const std::string end = nearest(pattern, ends);
  const auto at = size_t(std::find(ends.begin(), ends.end(), end) - ends.begin());
  const std::string whole_name = end.empty() ? pattern : names.at(at);
  fail(Fault::usage, "no key is meant by '", pattern, "'; ",
       suggestion(whole_name, names, "`retort settings` lists all"));
}

std::string key_advice(const std::string& command, const std::string& option) {
  const auto dashed = [](std::string name) {
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
  };
  std::vector<std::string> keys;
  for (const KeySheet& sheet : key_sheets()) {
    const std::string end = sheet.name.substr(sheet.name.rfind('.') + 1);
    const std::string key = "--set " + (command == "loss" ? end : sheet.name) + "=VALUE";
    const bool taken = std::count(sheet.commands.begin(), sheet.commands.end(), command) > 0;
    if (taken && dashed("--" + end) == dashed(option) && std::count(keys.begin(), keys.end(), key) == 0)
      keys.push_back(key);
  }
  return keys.empty() ? "" : "it is a key: " + join(keys, " or ");
}

std::string keys_text(const std::vector<KeySheet>& sheets, size_t width) {
  size_t column = 0;
  for (const KeySheet& sheet : sheets) column = std::max(column, sheet.name.size() + 2);
  std::string all;
  for (const KeySheet& sheet : sheets) {
    std::string first = sheet.name;
    first.resize(std::max(first.size() + 2, column), ' ');
    first += (sheet.fallback.empty() ? "unset" : sheet.fallback) + "; " + sheet.expected;
    all += wrapped(first, width, column) + "\n";
    std::string second = "    " + sheet.help;
    if (!sheet.flag.empty()) second += "; " + sheet.flag;
    if (!sheet.methods.empty()) second += "; of " + join(sheet.methods);
    all += wrapped(second + " [" + join(sheet.commands, " ") + "]", width, 4) + "\n";
  }
  return all;
}

}  // namespace retort
