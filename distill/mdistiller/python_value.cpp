#include "distill/mdistiller/python_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>

#include "engine/base/text.h"

namespace retort {
namespace {

struct Value {
  enum Kind { text, null, boolean, number };
  Kind kind = text;
  double as_number = 0;  // of a boolean 0 or 1
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// The word in lower case, capitalised, or in capitals: the three spellings that YAML knows.
bool spells(std::string_view text, std::string_view word) {
  if (text.size() != word.size()) return false;
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; };
  bool lower_rest = true, upper_rest = true;
  for (size_t i = 1; i < word.size(); ++i) {
    lower_rest = lower_rest && text[i] == word[i];
    upper_rest = upper_rest && text[i] == upper(word[i]);
  }
  return text[0] == upper(word[0]) ? lower_rest || upper_rest : text[0] == word[0] && lower_rest;
}

std::string without(std::string_view text, char dropped) {
  std::string kept;
  std::copy_if(text.begin(), text.end(), std::back_inserter(kept), [&](char c) { return c != dropped; });
  return kept;
}

// All digits of that base, underscores aside, at least one.
std::optional<double> integer(std::string_view text, int base) {
  const std::string digits = without(text, '_');
  if (digits.empty()) return std::nullopt;
  double value = 0;
  for (char c : digits) {
    const int digit = is_digit(c)            ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : 99;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return value;
}

// "150", "0.5", "1e-4", ".5": what from_chars reads from the first to the last letter.
std::optional<double> decimal(std::string_view text) {
  if (text.empty() || !(is_digit(text[0]) || text[0] == '.')) return std::nullopt;
  double value = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    value = std::numeric_limits<double>::infinity();
  else if (error != std::errc())
    return std::nullopt;
  return stopped == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// 190:20:30, the last of them perhaps with a fraction: each place counts 60 of the next.
std::optional<double> sexagesimal(std::string_view text) {
  const bool has_fraction = text.find('.') != text.npos;
  if (!is_digit(text[0]) || (text[0] == '0' && !has_fraction)) return std::nullopt;
  double value = 0;
  for (bool first = true;; first = false) {
    const size_t colon = text.find(':');
    const bool last = colon == text.npos;
    std::string place = std::string(text.substr(0, colon));
    if (first) place = without(place, '_');
    const size_t point = last ? place.find('.') : place.npos;
    const std::string whole = place.substr(0, point);
    if (whole.empty() || !std::all_of(whole.begin(), whole.end(), is_digit)) return std::nullopt;
    if (!first && (whole.size() > 2 || (whole.size() == 2 && whole[0] > '5'))) return std::nullopt;
    double fraction = 0;
    if (point != place.npos) {
      const std::string digits = without(place.substr(point + 1), '_');
      if (!std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
      fraction = decimal("0." + digits + "0").value_or(0);
    }
    value = value * 60 + *integer(whole, 10) + fraction;
    if (last) return value;
    text.remove_prefix(colon + 1);
  }
}

// YAML 1.1, type/float and type/int, as PyYAML's patterns have them: a float needs its point, its exponent a
// sign.
std::optional<double> yaml_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double sign = 1;
  const bool has_sign = text[0] == '-' || text[0] == '+';
  if (has_sign) {
    sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
  }
  const auto signed_value = [&](std::optional<double> value) {
    if (value) *value *= sign;
    return value;
  };
  if (text[0] == '.' && spells(text.substr(1), "inf")) return sign * std::numeric_limits<double>::infinity();
  if (!has_sign && one_of(text, {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
  if (text.starts_with("0b")) return signed_value(integer(text.substr(2), 2));
  if (text.starts_with("0x")) return signed_value(integer(text.substr(2), 16));
  if (text == "0") return 0;
  if (text.find(':') != text.npos) return signed_value(sexagesimal(text));
  const size_t point = text.find('.');
  if (point == text.npos) {
    if (!is_digit(text[0])) return std::nullopt;
    if (text[0] == '0') return signed_value(integer(text, 8));
    const std::string digits = without(text, '_');
    if (!std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
    return signed_value(decimal(digits));
  }
  if (point == 0 && (has_sign || text.size() < 2 || !is_digit(text[1]))) return std::nullopt;
  const size_t exponent = text.find_first_of("eE");
  if (exponent != text.npos && (exponent < point || exponent + 1 == text.size() ||
                                (text[exponent + 1] != '+' && text[exponent + 1] != '-')))
    return std::nullopt;
  if (text[0] == '_' || (exponent != text.npos && text.substr(exponent).find('_') != text.npos))
    return std::nullopt;
  return signed_value(decimal(without(text, '_')));
}

// A number as Python writes it: underscores stand between digits only, no leading zeros in whole ones.
std::optional<double> python_literal(std::string_view text) {
  double sign = 1;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  const bool based =
      text.size() > 2 && text[0] == '0' && std::string_view("xXoObB").find(text[1]) != std::string_view::npos;
  const auto is_part = [&](size_t i) {
    const char c = text[i];
    return is_digit(c) || (based && (i == 1 || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
  };
  for (size_t i = text.find('_'); i != text.npos; i = text.find('_', i + 1)) {
    if (i == 0 || i + 1 == text.size() || !is_part(i - 1) || !is_part(i + 1)) return std::nullopt;
  }
  const std::string digits = without(text, '_');
  std::optional<double> value;
  const std::string_view prefix = std::string_view(digits).substr(0, 2);
  if (prefix == "0x" || prefix == "0X")
    value = integer(digits.substr(2), 16);
  else if (prefix == "0o" || prefix == "0O")
    value = integer(digits.substr(2), 8);
  else if (prefix == "0b" || prefix == "0B")
    value = integer(digits.substr(2), 2);
  else {
    const bool whole = std::all_of(digits.begin(), digits.end(), is_digit);
    const bool zeros = std::all_of(digits.begin(), digits.end(), [](char c) { return c == '0'; });
    if (whole && digits[0] == '0' && !zeros) return std::nullopt;
    value = decimal(digits);
  }
  if (value) *value *= sign;
  return value;
}

Value value_of(const YamlValue& scalar) {
  std::string_view text = scalar.text;
  if (!scalar.quoted) {
    if (text.empty() || text == "~" || spells(text, "null")) return {Value::null};
    for (std::string_view word : {"yes", "true", "on"})
      if (spells(text, word)) return {Value::boolean, 1};
    for (std::string_view word : {"no", "false", "off"})
      if (spells(text, word)) return {Value::boolean, 0};
    if (const auto number = yaml_number(text)) return {Value::number, *number};
  }
  // literal_eval() takes blanks around the value away.
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n'))
    text.remove_suffix(1);
  if (text == "True" || text == "False") return {Value::boolean, text == "True" ? 1.0 : 0.0};
  if (text == "None") return {Value::null};
  if (const auto number = python_literal(text)) return {Value::number, *number};
  return {};
}

}  // namespace

std::string python_value(const YamlValue& scalar) {
  const Value value = value_of(scalar);
  switch (value.kind) {
    case Value::null:
      return "";
    case Value::boolean:
      return value.as_number != 0 ? "true" : "false";
    case Value::number: {
      const double x = value.as_number;
      if (!std::isfinite(x)) return scalar.text;
      return x == std::floor(x) && std::abs(x) < 1e15 ? std::to_string(int64_t(x)) : exact_decimal(x);
    }
    case Value::text:
      break;
  }
  return scalar.text;
}

}  // namespace retort
