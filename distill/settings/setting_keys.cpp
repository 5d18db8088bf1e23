#include "distill/settings/setting_keys.h"

#include <algorithm>

#include "datasets/detection/coco_spec.h"
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

// Where the key's value lies in settings that nobody changed.
SettingField usual(SettingField (*field)(RunSettings& settings)) {
  static RunSettings untouched;
  return field(untouched);
}

KeyType::Kind kind_of(const SettingField& field, const SettingLimits& limits) {
  return std::visit(
      Overloaded{[&](std::string*) { return limits.choices.empty() ? KeyType::words : KeyType::choice; },
                 [](bool*) { return KeyType::flag; }, [](double*) { return KeyType::number; },
                 [](std::optional<std::vector<int>>*) { return KeyType::epochs; },
                 [](auto*) { return KeyType::integer; }},
      field);
}

std::string text_of(const SettingField& field) {
  return std::visit(Overloaded{[](std::string* value) { return *value; },
                               [](bool* value) { return std::string(*value ? "true" : "false"); },
                               [](double* value) { return exact_decimal(*value); },
                               [](std::optional<std::vector<int>>* value) {
                                 return *value ? "[" + join(**value) + "]" : std::string();
                               },
                               [](auto* value) { return std::to_string(*value); }},
                    field);
}

// value: canonical; false if the field cannot hold it.
bool assign(const SettingField& field, const std::string& value) {
  return std::visit(Overloaded{[&](std::string* target) {
                                 *target = value;
                                 return true;
                               },
                               [&](bool* target) {
                                 *target = value == "true";
                                 return true;
                               },
                               [&](std::optional<std::vector<int>>* target) {
                                 return parse_epochs(value, target->emplace());
                               },
                               [&](auto* target) { return parse(value, *target); }},
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
       whole != names.end() ? "did you mean '" + *whole + "'?"
                            : suggestion(key, names, "`retort settings` lists all"));
}

bool is_method_key(const std::string& key) {
  return key.starts_with(method_prefix);
}

// Which TOML values a key takes.
bool takes(const KeyType& key, const TomlValue& value) {
  switch (key.kind) {
    case KeyType::number:
      return value.kind == TomlValue::number || value.kind == TomlValue::integer;
    case KeyType::integer:
      return value.kind == TomlValue::integer;
    case KeyType::flag:
      return value.kind == TomlValue::boolean;
    case KeyType::choice:
    case KeyType::words:
      return value.kind == TomlValue::string;
    case KeyType::epochs:
      return value.kind == TomlValue::array &&
             std::all_of(value.items.begin(), value.items.end(),
                         [](const TomlValue& item) { return item.kind == TomlValue::integer; });
  }
  return false;
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
      if (method_prefix + method_key.name == key && !takes(method_key, value)) refuse(expected(method_key));
    }
  } else {
    fail_unknown(settings, key);
  }
  set_key(settings, key,
          value.kind == TomlValue::table || value.kind == TomlValue::date ? "" : text_of(value));
}

// Files have keys of their own: of both ways to name one, the later counts.
void leave_files_to_spec(DataSettings& data) {
  if (!CocoSpec::is_one(data.spec)) return;
  const DetectionFiles named = CocoSpec::parse(data.spec).files;
  if (!named.train_json.empty()) data.train_json.clear();
  if (!named.test_json.empty()) data.test_json.clear();
  if (!named.images.empty()) data.images.clear();
}

}  // namespace

SettingKey::SettingKey(const std::string& full_name, const std::string& option, const std::string& what,
                       SettingField (*where)(RunSettings& settings), const SettingLimits& limits,
                       KeyEffect of_another)
    : KeyType{.name = full_name,
              .kind = kind_of(usual(where), limits),
              .fallback = text_of(usual(where)),
              .help = what,
              .minimum = limits.minimum,
              .exclusive = limits.exclusive,
              .choices = limits.choices,
              .maximum = limits.maximum,
              .effect = of_another},
      flag(option),
      field(where) {}

void set_key(RunSettings& settings, const std::string& given, const std::string& value) {
  const std::string key = known_as(given);
  check(is_utf8(value), Fault::usage, key,
        " is no UTF-8, and config.toml cannot hold it; "
        "name the file otherwise");
  if (key == method_prefix + "name") {
    if (value != settings.method.method().name) settings.method = method_settings(value);
  } else if (is_method_key(key)) {
    settings.method.set(key.substr(method_prefix.size()), value);
  } else if (const SettingKey* known = find_key(key)) {
    const std::optional<std::string> written = canonical(*known, value);
    check(written && assign(known->field(settings), *written), Fault::usage, key, " is '", value,
          "', expected ", expected(*known));
    if (key == "data.spec") leave_files_to_spec(settings.data);
  } else {
    fail_unknown(settings, key);
  }
}

std::string get_key(const RunSettings& settings, const SettingKey& key) {
  RunSettings copy = settings;  // fields are for writing
  return text_of(key.field(copy));
}

std::vector<KeyValue> key_values(const RunSettings& settings) {
  static const KeyType name{method_prefix + "name", KeyType::words, "", "the method"};
  RunSettings copy = settings;
  std::vector<KeyValue> all;
  for (const SettingKey& key : setting_keys()) all.push_back({key.name, key, text_of(key.field(copy))});
  all.push_back({name.name, name, settings.method.method().name});
  for (const auto& [key, value] : settings.method.list())
    all.push_back({method_prefix + key.name, key, value});
  return all;
}

std::string toml_value(const KeyType& key, const std::string& value) {
  return key.kind == KeyType::words || key.kind == KeyType::choice ? toml_quoted(value) : value;
}

bool said_by_study(const std::string& key) {
  return key == "method.name" || key == "model" || key == "teacher" || key == "teacher_model" ||
         key == "command" || key == "typed_in";
}

void set_data_keys(RunSettings& settings, const std::vector<std::pair<std::string, std::string>>& keys) {
  DataSettings& data = settings.data;
  for (std::string* file : {&data.train_json, &data.test_json, &data.images}) file->clear();
  for (const auto& [key, value] : keys) set_key(settings, key, value);
  name_files(data);
}

void set_from_table(RunSettings& settings, const TomlValue& table, const std::string& file,
                    const std::vector<std::string>& skipped) {
  std::vector<Entry> entries;
  flatten("", table, entries);
  // The method first: it decides which keys there are. And the data before the keys of its files.
  std::stable_partition(entries.begin(), entries.end(), [](const Entry& entry) {
    return entry.key == method_prefix + "name" || entry.key == "data.spec";
  });
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
