#include "distill/text/text_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "distill/text/statistics.h"
#include "engine/base/file.h"

namespace retort {
namespace {

struct Range {
  uint32_t first, last;
};
// Unicode's combining marks and format characters, as far as names and messages may use them.
constexpr Range zero_width[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f},
                                {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x20d0, 0x20ff},
                                {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
// East Asian Width W and F (Unicode Standard Annex 11).
constexpr Range double_width[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},  {0xa960, 0xa97c}, {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

template <size_t N>
bool in(const Range (&ranges)[N], uint32_t point) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](Range range) { return range.first <= point && point <= range.last; });
}

struct Character {
  size_t bytes, width;
};

// The character at the front of non-empty text.
Character first_of(std::string_view text) {
  const auto byte = [&](size_t i) { return uint8_t(text[i]); };
  const size_t bytes = byte(0) < 0x80       ? 1
                       : byte(0) >> 5 == 6  ? 2
                       : byte(0) >> 4 == 14 ? 3
                       : byte(0) >> 3 == 30 ? 4
                                            : 0;
  if (bytes == 0 || bytes > text.size()) return {1, 1};
  uint32_t point = bytes == 1 ? byte(0) : byte(0) & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if (byte(i) >> 6 != 2) return {1, 1};
    point = point << 6 | (byte(i) & 0x3f);
  }
  return {bytes, size_t(in(zero_width, point) ? 0 : in(double_width, point) ? 2 : 1)};
}

std::string printed(double value, std::chars_format format, int precision) {
  if (std::isnan(value)) return "-";
  char digits[400];  // 1.8e308 with its 309 digits and decimals
  const auto end = std::to_chars(digits, digits + sizeof digits, value, format, std::min(precision, 60)).ptr;
  return {digits, end};
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character character = first_of(text);
    width += character.width;
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string cut_to_width(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  size_t used = 0, bytes = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const Character character = first_of(rest);
    if (used + character.width > width - 1) break;
    used += character.width;
    bytes += character.bytes;
    rest.remove_prefix(character.bytes);
  }
  return std::string(text.substr(0, bytes)) + "…";
}

std::string wrapped(std::string_view text, size_t width, size_t indent) {
  std::string all;
  size_t used = 0;
  bool line_begins = true;
  while (!text.empty()) {
    const size_t blanks = std::min(text.find_first_not_of(' '), text.size());
    const size_t end = std::min(text.find(' ', blanks), text.size());
    if (end == blanks) break;  // blanks at the end
    const size_t columns = display_width(text.substr(0, end));
    if (!line_begins && used + columns > width) {
      all += '\n' + std::string(indent, ' ');
      used = indent;
      line_begins = true;
      text.remove_prefix(blanks);
      continue;
    }
    all += text.substr(0, end);
    used += columns;
    line_begins = false;
    text.remove_prefix(end);
  }
  return all;
}

std::string extents(const Shape& shape) {
  std::string all;
  for (int i = 0; i < shape.rank(); ++i) all += (i > 0 ? "x" : "") + std::to_string(shape[i]);
  return all;
}

std::string counted(int64_t count, std::string_view noun) {
  return std::to_string(count) + ' ' + std::string(noun) +
         (count == 1            ? ""
          : noun.ends_with('s') ? "es"
                                : "s");
}

std::string fixed(double value, int decimals) {
  return printed(value, std::chars_format::fixed, decimals);
}

std::string signed_number(double value, int decimals) {
  if (std::isnan(value)) return "–";
  const std::string digits = fixed(std::abs(value), decimals);
  const bool zero = digits.find_first_not_of("0.") == std::string::npos;
  return (zero ? "" : value < 0 ? "−" : "+") + digits;
}

std::string mean_and_deviation(std::span<const double> values, int decimals) {
  return fixed(mean_of(values), decimals) +
         (values.size() > 1 ? " ± " + fixed(deviation_of(values), decimals) : "");
}

std::string significant(double value, int digits) {
  return printed(value, std::chars_format::general, digits);
}

std::string rough_duration(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  const double minutes = seconds / 60, hours = minutes / 60;
  if (seconds < 99.5) return counted(std::llround(std::max(1.0, seconds)), "second");
  if (minutes < 99.5) return counted(std::llround(minutes), "minute");
  if (hours < 48) return significant(hours, 2) + " hours";
  return with_commas(std::llround(hours / 24)) + " days";
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e12) return "-";
  const int64_t total = std::llround(std::max(0.0, seconds));
  const auto two = [](int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  if (total < 3600) return std::to_string(total / 60) + ':' + two(total % 60);
  return std::to_string(total / 3600) + ':' + two(total / 60 % 60) + ':' + two(total % 60);
}

}  // namespace retort
