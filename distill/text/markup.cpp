#include "distill/text/markup.h"

#include <algorithm>

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

namespace {

// Every character of UTF-8 text: write(character) for a byte of ASCII that is no control character; others
// stay.
template <class Write>
std::string written(std::string_view raw, Write&& write) {
  std::string out;
  while (!raw.empty()) {
    const size_t bytes = character_bytes(raw);
    // U+0080 to U+009F are control characters too.
    const bool high_control = bytes == 2 && uint8_t(raw[0]) == 0xc2 && uint8_t(raw[1]) < 0xa0;
    const bool control = bytes == 1 && (uint8_t(raw.front()) < 0x20 || raw.front() == 0x7f);
    if (bytes == 0)
      out += "\xef\xbf\xbd";
    else if (control || high_control)
      out += ' ';
    else if (bytes > 1)
      out += raw.substr(0, bytes);
    else
      write(out, raw);
    raw.remove_prefix(bytes > 0 ? bytes : 1);
  }
  return out;
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || uint8_t(c) >= 0x80;
}

}  // namespace

std::string escaped_markup(std::string_view raw) {
  return written(raw, [](std::string& out, std::string_view rest) {
    const char c = rest.front();
    if (c == '&')
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
      out += c;
  });
}

std::string escaped_lines(std::string_view raw) {
  std::string lines;
  for (size_t from = 0; from < raw.size();) {
    const size_t end = std::min(raw.find('\n', from), raw.size());
    lines += escaped_markup(raw.substr(from, end - from)) + "\n";
    from = end + 1;
  }
  return lines;
}

std::string escaped_markdown(std::string_view raw) {
  return written(raw, [](std::string& out, std::string_view rest) {
    const char c = rest.front();
    // Between letters it begins nothing, as in kd_ls.
    const bool within_word = !out.empty() && is_word(out.back()) && rest.size() > 1 && is_word(rest[1]);
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '\\' || c == '`' || c == '*' || c == '[' || c == ']' || c == '|' || c == '~' ||
             (c == '_' && !within_word) || (c == '#' && out.empty()))
      out += std::string("\\") + c;
    else
      out += c;
  });
}

std::string one_line(std::string_view raw) {
  return written(raw, [](std::string& out, std::string_view rest) { out += rest.front(); });
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
