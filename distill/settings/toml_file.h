// TOML files (toml.io, 1.0) as plain trees that remember their lines, for messages.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

struct TomlValue {
  enum Kind { boolean, integer, number, string, date, array, table };

  Kind kind = table;
  int line = 0;  // in the file, from 1
  bool as_boolean = false;
  int64_t as_integer = 0;
  double as_number = 0;
  std::string as_string;
  std::vector<TomlValue> items;    // of an array or a table
  std::vector<std::string> names;  // of a table: items[i] is called names[i]

  const TomlValue* find(const std::string& name) const;  // of a table; nullptr if absent
};

// "a string", "an array", for messages.
const char* name_of(TomlValue::Kind kind);

// The file's top table. Fault::input if it is missing, unreadable or larger than 1 MiB, Fault::usage with
// file and line if it is not TOML.
TomlValue read_toml(const std::filesystem::path& file);

// The same of text that is there already; `name` is the file in messages.
TomlValue parse_toml(std::string_view text, const std::string& name);

// text as a TOML string, quotes included.
std::string toml_quoted(const std::string& text);

}  // namespace retort
