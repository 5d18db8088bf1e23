#include "distill/settings/toml_file.h"

#include <toml++/toml.h>

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/utf8.h"

namespace retort {

namespace {

constexpr int64_t largest_file = int64_t(1) << 20;

TomlValue converted(const toml::node& node) {
  TomlValue value;
  value.line = int(node.source().begin.line);
  if (const auto* b = node.as_boolean()) {
    value.kind = TomlValue::boolean;
    value.as_boolean = b->get();
  } else if (const auto* i = node.as_integer()) {
    value.kind = TomlValue::integer;
    value.as_integer = i->get();
  } else if (const auto* x = node.as_floating_point()) {
    value.kind = TomlValue::number;
    value.as_number = x->get();
  } else if (const auto* s = node.as_string()) {
    value.kind = TomlValue::string;
    value.as_string = s->get();
  } else if (const auto* list = node.as_array()) {
    value.kind = TomlValue::array;
    for (const toml::node& item : *list) value.items.push_back(converted(item));
  } else if (const auto* fields = node.as_table()) {
    value.kind = TomlValue::table;
    for (const auto& [name, field] : *fields) {
      value.names.emplace_back(name.str());
      value.items.push_back(converted(field));
    }
  } else {
    value.kind = TomlValue::date;
  }
  return value;
}

// Messages are one line, whatever the file holds.
std::string printable(std::string message) {
  std::replace_if(
      message.begin(), message.end(), [](char c) { return (unsigned char)(c) < ' '; }, ' ');
  return message;
}

// TOML allows tabs and line ends alone; toml++ 3.3 asserts that others never stand where a key begins.
void check_no_controls(std::string_view content, const std::string& name) {
  int64_t line = 1;
  for (const char c : content) {
    line += c == '\n';
    const bool control =
        (static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
    check(!control, Fault::usage, name, ":", line, ": the control character ", int(c),
          ", which TOML does not have");
  }
}

}  // namespace

const TomlValue* TomlValue::find(const std::string& name) const {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &items[i];
  }
  return nullptr;
}

const char* name_of(TomlValue::Kind kind) {
  switch (kind) {
    case TomlValue::boolean:
      return "true or false";
    case TomlValue::integer:
      return "an integer";
    case TomlValue::number:
      return "a number";
    case TomlValue::string:
      return "a string";
    case TomlValue::date:
      return "a date";
    case TomlValue::array:
      return "an array";
    case TomlValue::table:
      return "a table";
  }
  return "";
}

TomlValue read_toml(const std::filesystem::path& file) {
  const std::vector<uint8_t> bytes = InputFile(file).read_all(largest_file);
  return parse_toml({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

TomlValue parse_toml(std::string_view text, const std::string& name) {
  check_utf8(text, name, Fault::usage);
  check_no_controls(text, name);
  try {
    return converted(toml::parse(text));
  } catch (const toml::parse_error& error) {
    fail(Fault::usage, name, ":", error.source().begin.line, ": ",
         printable(std::string(error.description())));
  }
}

std::string toml_quoted(const std::string& text) {
  static const char* const digits = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < ' ' || byte == 0x7f) {
      quoted += std::string("\\u00") + digits[byte >> 4] + digits[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace retort
