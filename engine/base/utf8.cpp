#include "engine/base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace retort {

size_t valid_utf8(std::string_view text) {
  const auto byte = [&](size_t at) { return at < text.size() ? uint8_t(text[at]) : uint8_t(0); };
  size_t at = 0;
  while (at < text.size()) {
    const uint8_t first = byte(at);
    size_t more = 0;
    uint8_t lowest = 0x80, highest = 0xbf;  // of the second byte
    if (first < 0x80) {
      ++at;
      continue;
    }
    if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) lowest = 0xa0;
      if (first == 0xed) highest = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) lowest = 0x90;
      if (first == 0xf4) highest = 0x8f;
    } else {
      return at;
    }
    if (byte(at + 1) < lowest || byte(at + 1) > highest) return at;
    for (size_t i = 2; i <= more; ++i)
      if ((byte(at + i) & 0xc0) != 0x80) return at;
    at += 1 + more;
  }
  return at;
}

bool is_utf8(std::string_view text) {
  return valid_utf8(text) == text.size();
}

void check_utf8(std::string_view content, const std::string& file, Fault fault) {
  const size_t valid = valid_utf8(content);
  if (valid == content.size()) return;
  const auto line = 1 + std::count(content.begin(), content.begin() + std::ptrdiff_t(valid), '\n');
  fail(fault, file, ":", line, ": byte ", valid, " is ", int(uint8_t(content[valid])),
       ", which is no UTF-8; save the file as UTF-8 text");
}

}  // namespace retort
