#include "engine/base/text.h"

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

}  // namespace retort
