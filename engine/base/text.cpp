#include "engine/base/text.h"

#include <algorithm>
#include <cmath>

namespace retort {

std::string exact_decimal(double value) {
  if (std::isnan(value)) return "nan";  // whatever its sign
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string join(const std::vector<std::string>& words, std::string_view between) {
  std::string all;
  for (size_t i = 0; i < words.size(); ++i) all.append(i ? between : "").append(words[i]);
  return all;
}

std::string join(const std::vector<int>& numbers, std::string_view between) {
  std::vector<std::string> words;
  for (const int number : numbers) words.push_back(std::to_string(number));
  return join(words, between);
}

std::string some_of(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size() && i < 4; ++i) list.append(i ? ", " : "").append(names[i], 0, 200);
  return names.size() > 4 ? list + " and " + std::to_string(names.size() - 4) + " more" : list;
}

std::string without_controls(std::string_view text, char instead, std::string_view kept) {
  std::string shown;
  shown.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool high = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0 &&
                      static_cast<unsigned char>(text[i + 1]) >= 0x80;
    const bool control = byte < 0x20 || byte == 0x7f;
    shown += high || (control && kept.find(text[i]) == kept.npos) ? instead : text[i];
    i += high;
  }
  return shown;
}

std::string without_the_middle(std::string_view text, size_t most) {
  constexpr std::string_view gap = " ... ";
  if (text.size() <= most) return std::string(text);
  const auto inside = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80; };
  size_t begin = (most - gap.size()) / 2, end = text.size() - (most - gap.size() - begin);
  while (begin > 0 && inside(begin)) --begin;
  while (end < text.size() && inside(end)) ++end;
  return std::string(text.substr(0, begin)).append(gap).append(text.substr(end));
}

std::string_view trimmed(std::string_view text, std::string_view blanks) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

}  // namespace retort
