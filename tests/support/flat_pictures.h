// JPEGs and PNGs of one colour, of any size and kind, in few bytes: what decoding takes is what their headers
// say.
#pragma once
#include <cstdint>
#include <string>

#include "tests/support/png_writer.h"

namespace retort::testing {

// Sides are whole blocks of 8. Progressive ones have their first scan alone.
inline std::string flat_jpeg(int side, int components, bool progressive) {
  const auto segment = [](int marker, const std::string& content) {
    const size_t length = content.size() + 2;
    return std::string{'\xff', char(marker), char(length >> 8), char(length)} + content;
  };
  // One code of one bit, 0, for the difference of 0, or the end of a block.
  const auto table = [](int kind) { return std::string{char(kind), 1} + std::string(15, '\0') + '\0'; };
  std::string frame = {8, char(side >> 8), char(side), char(side >> 8), char(side), char(components)};
  std::string scan = {char(components)};
  for (int c = 1; c <= components; ++c) {
    frame += {char(c), 0x11, 0};
    scan += {char(c), 0};
  }
  scan += {0, char(progressive ? 0 : 63), 0};
  const int64_t blocks = int64_t(side / 8) * (side / 8) * components, bits = blocks * (progressive ? 1 : 2);
  return "\xff\xd8" + segment(0xdb, '\0' + std::string(64, 1)) + segment(progressive ? 0xc2 : 0xc0, frame) +
         segment(0xc4, table(0) + table(0x10)) + segment(0xda, scan) +
         std::string(size_t((bits + 7) / 8), '\0') + "\xff\xd9";
}

// The beginning of a square PNG of RGB, or RGBA: with 3 or 4 channels of 8 or 16 bits.
inline std::string png_header(int side, int channels, int depth, bool interlaced) {
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", big_endian(uint32_t(side)) + big_endian(uint32_t(side)) +
                               std::string{char(depth), char(channels == 4 ? 6 : 2), 0, 0, char(interlaced)});
}

inline std::string flat_png(int side, int channels, int depth, bool interlaced) {
  int64_t bytes = 0;  // of rows, each behind its filter
  const auto add = [&](int64_t height, int64_t width) {
    if (width > 0) bytes += height * (1 + width * channels * depth / 8);
  };
  if (interlaced) {
    constexpr int starts[7][4] = {{0, 0, 8, 8}, {0, 4, 8, 8}, {4, 0, 8, 4}, {0, 2, 4, 4},
                                  {2, 0, 4, 2}, {0, 1, 2, 2}, {1, 0, 2, 1}};
    for (const auto& [y, x, down, right] : starts)
      add((side - y + down - 1) / down, (side - x + right - 1) / right);
  } else {
    add(side, side);
  }
  // Zeros: one, and copies of 258 of what lies before, by the fixed codes of RFC 1951.
  std::string stream = "\x78\x01";
  int free = 0;
  const auto put = [&](const char* code) {
    for (; *code; ++code) {
      if (free == 0) stream += '\0';
      if (*code == '1') stream.back() = char(stream.back() | 1 << free);
      free = (free + 1) % 8;
    }
  };
  put("110");
  put("00110000");
  int64_t left = bytes - 1;
  for (; left >= 258; left -= 258) put("1100010100000");
  for (; left > 0; --left) put("00110000");
  put("0000000");
  stream += big_endian(uint32_t(bytes % 65521) << 16 | 1);
  return png_header(side, channels, depth, interlaced) + png_chunk("IDAT", stream) + png_chunk("IEND", "");
}

}  // namespace retort::testing
