#include "distill/settings/setting_keys.h"

#include <algorithm>
#include <cmath>

#include "distill/methods/registry.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/base/utf8.h"

namespace retort {

namespace {

const std::string method_prefix = "method.";

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string without_blanks(const std::string& text) {
  std::string kept;
  for (char c : text) {
    if (c != ' ' && c != '\t') kept += c;
  }
  return kept;
}

// "150,180,210", in brackets or not; empty for an empty list.
bool parse_list(const std::string& text, std::vector<int>& list) {
  std::string rest = without_blanks(text);
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  list.clear();
  if (rest.empty()) return true;
  for (size_t from = 0;;) {
    const size_t comma = rest.find(',', from);
    int item = 0;
    if (!parse(std::string_view(rest).substr(from, comma - from), item) || item < 1) return false;
    if (!list.empty() && item <= list.back()) return false;
    list.push_back(item);
    if (comma == std::string::npos) return true;
    from = comma + 1;
  }
}

SettingField field_of(const SettingKey& key) {
  static RunSettings any;
  return key.field(any);
}

std::string range_text(double minimum, double maximum, bool exclusive) {
  std::string words = text(exclusive ? " more than " : " of at least ", exact_decimal(minimum));
  if (maximum == below_one)
    words += " and less than 1";
  else if (std::isfinite(maximum))
    words += text(" and at most ", uint64_t(maximum));
  return words;
}

std::string expected(const SettingKey& key) {
  return std::visit(
      Overloaded{
          [&](std::string*) {
            return key.limits.choices.empty() ? "text" : "one of " + join(key.limits.choices);
          },
          [&](bool*) { return std::string("true or false"); },
          [&](double*) {
            return "a number" + range_text(key.limits.minimum, key.limits.maximum, key.limits.exclusive);
          },
          [&](std::optional<std::vector<int>>*) {
            return std::string("ascending epochs from 1 on, as in [150, 180, 210]");
          },
          [&](auto*) {
            return "an integer" + range_text(key.limits.minimum, key.limits.maximum, key.limits.exclusive);
          }},
      field_of(key));
}

// False if text is no value of the key.
bool assign(const SettingKey& key, SettingField field, const std::string& value) {
  return std::visit(Overloaded{[&](std::string* target) {
                                 if (!key.limits.choices.empty() &&
                                     std::find(key.limits.choices.begin(), key.limits.choices.end(), value) ==
                                         key.limits.choices.end())
                                   return false;
                                 *target = value;
                                 return true;
                               },
                               [&](bool* target) {
                                 if (value != "true" && value != "false") return false;
                                 *target = value == "true";
                                 return true;
                               },
                               [&](std::optional<std::vector<int>>* target) {
                                 std::vector<int> list;
                                 if (!parse_list(value, list)) return false;
                                 *target = std::move(list);
                                 return true;
                               },
                               [&](auto* target) {
                                 auto number = *target;
                                 if (!parse(value, number)) return false;
                                 const double x = double(number);
                                 if (!std::isfinite(x) || x < key.limits.minimum || x > key.limits.maximum)
                                   return false;
                                 if (key.limits.exclusive && x == key.limits.minimum) return false;
                                 *target = number;
                                 return true;
                               }},
                    field);
}

const SettingKey* find_key(const std::string& name) {
  // In a file `init` is a text, so that it cannot be a table as well.
  const std::string in_table = name == "init.head" ? "init_head" : name;
  for (const SettingKey& key : setting_keys()) {
    if (key.name == in_table) return &key;
  }
  return nullptr;
}

std::vector<std::string> all_names(const MethodSettings& method) {
  std::vector<std::string> names;
  for (const SettingKey& key : setting_keys()) names.push_back(key.name);
  names.push_back(method_prefix + "name");
  for (const MethodKey& key : method.method().keys) names.push_back(method_prefix + key.name);
  return names;
}

[[noreturn]] void fail_unknown(const RunSettings& settings, const std::string& key) {
  const std::vector<std::string> names = all_names(settings.method);
  // "lr" for "optimizer.lr", "data" for "data.spec": half of it is right.
  const auto whole = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
    return name.ends_with("." + key) || name.starts_with(key + ".");
  });
  fail(Fault::usage, "unknown key '", key, "'; ",
       whole != names.end() ? "did you mean '" + *whole + "'?" : suggestion(key, names, "--keys lists all"));
}

bool is_method_key(const std::string& key) {
  return key.starts_with(method_prefix);
}

// Which TOML values a key takes.
bool takes(const SettingKey& key, const TomlValue& value) {
  return std::visit(
      Overloaded{[&](std::string*) { return value.kind == TomlValue::string; },
                 [&](bool*) { return value.kind == TomlValue::boolean; },
                 [&](double*) { return value.kind == TomlValue::number || value.kind == TomlValue::integer; },
                 [&](std::optional<std::vector<int>>*) {
                   return value.kind == TomlValue::array &&
                          std::all_of(value.items.begin(), value.items.end(),
                                      [](const TomlValue& item) { return item.kind == TomlValue::integer; });
                 },
                 [&](auto*) { return value.kind == TomlValue::integer; }},
      field_of(key));
}

bool takes(const MethodKey& key, const TomlValue& value) {
  switch (key.kind) {
    case MethodKey::number:
      return value.kind == TomlValue::number || value.kind == TomlValue::integer;
    case MethodKey::integer:
      return value.kind == TomlValue::integer;
    case MethodKey::flag:
      return value.kind == TomlValue::boolean;
    case MethodKey::choice:
      return value.kind == TomlValue::string;
  }
  return false;
}

const char* type_of(MethodKey::Kind kind) {
  switch (kind) {
    case MethodKey::number:
      return "a number";
    case MethodKey::integer:
      return "an integer";
    case MethodKey::flag:
      return "true or false";
    case MethodKey::choice:
      return "a string";
  }
  return "";
}

std::string text_of(const TomlValue& value) {
  switch (value.kind) {
    case TomlValue::boolean:
      return value.as_boolean ? "true" : "false";
    case TomlValue::integer:
      return std::to_string(value.as_integer);
    case TomlValue::number:
      return exact_decimal(value.as_number);
    case TomlValue::string:
      return value.as_string;
    case TomlValue::array: {
      std::string all;
      for (const TomlValue& item : value.items) all += (all.empty() ? "" : ",") + text_of(item);
      return all;
    }
    case TomlValue::date:
    case TomlValue::table:
      break;
  }
  fail(Fault::internal, "settings: ", name_of(value.kind), " has no text");
}

struct Entry {
  std::string key;
  const TomlValue* value;
};

// The table's keys with full names ("optimizer.lr"). An empty table of unknown name counts as a key.
void flatten(const std::string& prefix, const TomlValue& table, std::vector<Entry>& entries) {
  for (size_t i = 0; i < table.names.size(); ++i) {
    const TomlValue& value = table.items[i];
    const std::string full = prefix + table.names[i];
    const auto& keys = setting_keys();
    const bool known = full + "." == method_prefix ||
                       std::any_of(keys.begin(), keys.end(),
                                   [&](const auto& key) { return key.name.starts_with(full + "."); });
    if (value.kind == TomlValue::table && (known || !value.items.empty())) {
      flatten(full + ".", value, entries);
    } else {
      entries.push_back({full, &value});
    }
  }
}

// What a method on boxes looks at is set as a key of it, and is the same for all of them.
std::string known_as(const std::string& key) {
  const std::string own = key.starts_with(method_prefix) ? key.substr(method_prefix.size()) : "";
  return own == "background" || own == "positives" ? "boxes." + own : key;
}

void set_entry(RunSettings& settings, const std::string& given, const TomlValue& value) {
  const std::string key = known_as(given);
  const auto refuse = [&](const std::string& wanted) {
    fail(Fault::usage, key, " is ", name_of(value.kind), ", expected ", wanted);
  };
  if (const SettingKey* known = find_key(key)) {
    if (!takes(*known, value)) refuse(expected(*known));
  } else if (key == method_prefix + "name") {
    if (value.kind != TomlValue::string) refuse("the name of a method");
  } else if (is_method_key(key)) {
    for (const MethodKey& method_key : settings.method.method().keys) {
      if (method_prefix + method_key.name == key && !takes(method_key, value))
        refuse(type_of(method_key.kind));
    }
  } else {
    fail_unknown(settings, key);
  }
  set_key(settings, key,
          value.kind == TomlValue::table || value.kind == TomlValue::date ? "" : text_of(value));
}

}  // namespace

void set_key(RunSettings& settings, const std::string& given, const std::string& value) {
  const std::string key = known_as(given);
  check(valid_utf8(value) == value.size(), Fault::usage, key,
        " is no UTF-8, and config.toml cannot hold it; "
        "name the file otherwise");
  if (key == method_prefix + "name") {
    if (value != settings.method.method().name) settings.method = method_settings(value);
  } else if (is_method_key(key)) {
    settings.method.set(key.substr(method_prefix.size()), value);
  } else if (const SettingKey* known = find_key(key)) {
    check(assign(*known, known->field(settings), value), Fault::usage, key, " is '", value, "', expected ",
          expected(*known));
  } else {
    fail_unknown(settings, key);
  }
}

std::string get_key(const RunSettings& settings, const SettingKey& key) {
  RunSettings copy = settings;  // fields are for writing
  return std::visit(Overloaded{[](std::string* value) { return *value; },
                               [](bool* value) { return std::string(*value ? "true" : "false"); },
                               [](double* value) { return exact_decimal(*value); },
                               [](std::optional<std::vector<int>>* value) {
                                 return *value ? "[" + join(**value) + "]" : std::string();
                               },
                               [](auto* value) { return std::to_string(*value); }},
                    key.field(copy));
}

void set_from_table(RunSettings& settings, const TomlValue& table, const std::string& file,
                    const std::vector<std::string>& skipped) {
  std::vector<Entry> entries;
  flatten("", table, entries);
  // The method first: it decides which keys there are.
  std::stable_partition(entries.begin(), entries.end(),
                        [](const Entry& entry) { return entry.key == method_prefix + "name"; });
  for (const Entry& entry : entries) {
    if (std::find(skipped.begin(), skipped.end(), entry.key) != skipped.end()) continue;
    try {
      set_entry(settings, entry.key, *entry.value);
    } catch (const Error& error) {
      fail(error.fault(), file, ":", entry.value->line, ": ", error.what());
    }
  }
}

}  // namespace retort
