#include "distill/text/markup.h"

#include <cstdint>

namespace retort {

namespace {

// Bytes of the UTF-8 character that text begins with, 0 if it begins with none.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : 0; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t bytes = first >= 0xc2 && first < 0xe0   ? 2
                       : (first & 0xf0) == 0xe0        ? 3
                       : first >= 0xf0 && first < 0xf5 ? 4
                                                       : 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool beyond = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);
  return overlong || beyond ? 0 : bytes;
}

}  // namespace

std::string escaped_markup(std::string_view raw) {
  std::string out;
  while (!raw.empty()) {
    const size_t bytes = character_bytes(raw);
    const char c = raw.front();
    if (bytes == 0)
      out += "\xef\xbf\xbd";
    else if (bytes > 1)
      out += raw.substr(0, bytes);
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += uint8_t(c) < 0x20 || c == 0x7f ? ' ' : c;
    raw.remove_prefix(bytes > 0 ? bytes : 1);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t k = 0; k < 3; ++k) three = three << 8 | (i + k < bytes.size() ? uint8_t(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) {
      const bool there = i + k <= bytes.size();  // a digit for each begun group of six bits
      out += there ? digits[three >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

}  // namespace retort
