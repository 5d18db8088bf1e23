#include "models/channel_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <sstream>

namespace retort {

ChannelNumbers channels_from(const std::string& name, const std::string& given, bool deviation, Fault fault) {
  std::string plain = given;
  for (char& c : plain) {
    if (c == ',' || c == '[' || c == ']' || c == '(' || c == ')') c = ' ';
  }
  std::istringstream in(plain);
  in.imbue(std::locale::classic());
  ChannelNumbers numbers{};
  bool fits = true;
  for (float& number : numbers) fits = fits && in >> number && std::isfinite(number);
  fits =
      fits && (in >> std::ws).eof() && (!deviation || *std::min_element(numbers.begin(), numbers.end()) > 0);
  check(fits, fault, name, " is '", given, "', expected three numbers", deviation ? " more than 0" : "",
        ", as \"0.5071 0.4867 0.4408\"");
  const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
  check(*low >= 0 && *high <= 1, fault, name, " is '", given,
        "', expected numbers from 0 to 1, where 1 is white; divide by 255?");
  return numbers;
}

std::string text_of(const ChannelNumbers& numbers) {
  std::string all;
  for (const float number : numbers) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    all += (all.empty() ? "" : " ") + std::string(digits, end);
  }
  return all;
}

std::optional<ChannelNumbers> channel_numbers(const Weights& weights, const char* key) {
  check(!weights.metadata("mean") == !weights.metadata("std"), Fault::input, weights.path.string(),
        ": holds only one of 'mean' and 'std' of its images; they go together (--mean, --std)");
  const std::string* entry = weights.metadata(key);
  if (!entry) return std::nullopt;
  return channels_from(text(weights.path.string(), ": '", key, "'"), *entry, std::string(key) == "std",
                       Fault::input);
}

void set_channel_numbers(Weights& weights, const std::string& mean, const std::string& deviation) {
  check(mean.empty() == deviation.empty(), Fault::usage, "mean and std of an image's channels go together");
  if (mean.empty()) return;
  for (const auto& [key, given] : {std::pair{"mean", &mean}, std::pair{"std", &deviation}}) {
    const ChannelNumbers numbers =
        channels_from(text("--", key), *given, std::string(key) == "std", Fault::usage);
    std::string& entry = weights.file.metadata[key];
    if (!entry.empty() && entry != text_of(numbers))
      weights.notes.push_back(
          text(weights.source, ": the file's own ", key, ", ", entry, ", gives way to ", text_of(numbers)));
    entry = text_of(numbers);
  }
}

}  // namespace retort
