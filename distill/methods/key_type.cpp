#include "distill/methods/key_type.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

bool in_range(const KeyType& key, double x) {
  return std::isfinite(x) && (key.exclusive ? x > key.minimum : x >= key.minimum) && x <= key.maximum;
}

std::string range(const KeyType& key) {
  if (key.maximum == 1 && !key.exclusive) return text(" from ", key.minimum, " to 1");
  const std::string least = text(key.exclusive ? " more than " : " of at least ", key.minimum);
  if (key.maximum == below_one) return least + " and less than 1";
  return std::isfinite(key.maximum) ? text(least, " and at most ", uint64_t(key.maximum)) : least;
}

}  // namespace

bool parse_epochs(const std::string& given, std::vector<int>& epochs) {
  std::string rest = given;
  std::erase_if(rest, [](char c) { return c == ' ' || c == '\t'; });
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  epochs.clear();
  if (rest.empty()) return true;
  for (size_t from = 0;;) {
    const size_t comma = rest.find(',', from);
    int epoch = 0;
    if (!parse(std::string_view(rest).substr(from, comma - from), epoch)) return false;
    if (epoch <= (epochs.empty() ? 0 : epochs.back())) return false;
    epochs.push_back(epoch);
    if (comma == std::string::npos) return true;
    from = comma + 1;
  }
}

std::optional<std::string> canonical(const KeyType& key, const std::string& given) {
  double real = 0;
  int64_t whole = 0;
  std::vector<int> list;
  switch (key.kind) {
    case KeyType::number:
      if (!parse(given, real) || !in_range(key, real)) return std::nullopt;
      return exact_decimal(real + 0.0);  // -0 is 0
    case KeyType::integer:
      if (!parse(given, whole) || !in_range(key, double(whole))) return std::nullopt;
      return std::to_string(whole);
    case KeyType::flag:
      if (given != "true" && given != "false") return std::nullopt;
      return given;
    case KeyType::choice:
      if (std::count(key.choices.begin(), key.choices.end(), given) == 0) return std::nullopt;
      return given;
    case KeyType::words:
      return given;
    case KeyType::epochs:
      if (!parse_epochs(given, list)) return std::nullopt;
      return "[" + join(list) + "]";
  }
  return std::nullopt;
}

std::string expected(const KeyType& key) {
  switch (key.kind) {
    case KeyType::number:
      return "a number" + range(key);
    case KeyType::integer:
      return "an integer" + range(key);
    case KeyType::flag:
      return "true or false";
    case KeyType::choice:
      return "one of " + join(key.choices);
    case KeyType::words:
      return "text";
    case KeyType::epochs:
      return "ascending epochs from 1 on, as in [150, 180, 210]";
  }
  return "";
}

const char* name_of(KeyType::Kind kind) {
  switch (kind) {
    case KeyType::number:
      return "number";
    case KeyType::integer:
      return "integer";
    case KeyType::flag:
      return "flag";
    case KeyType::choice:
      return "choice";
    case KeyType::words:
      return "text";
    case KeyType::epochs:
      return "list";
  }
  return "";
}

}  // namespace retort
