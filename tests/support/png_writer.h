// PNG files of 8-bit RGB, not compressed, for tests that need pictures of their own.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "datasets/formats/image_file.h"
#include "engine/base/zip_archive.h"

namespace retort::testing {

inline std::string big_endian(uint32_t n) {
  return {char(n >> 24), char(n >> 16), char(n >> 8), char(n)};
}

inline std::string png_chunk(const std::string& type, const std::string& content) {
  const std::string summed = type + content;
  return big_endian(uint32_t(content.size())) + summed +
         big_endian(crc32(std::as_bytes(std::span(summed.data(), summed.size()))));
}

inline std::string png_of(const Image& image) {
  std::string rows;
  for (int y = 0; y < image.height; ++y) {
    rows += '\0';  // no filter
    rows.append(reinterpret_cast<const char*>(image.pixels.data()) + int64_t(y) * image.width * 3,
                size_t(image.width) * 3);
  }
  uint32_t a = 1, b = 0;
  for (const char c : rows) {
    a = (a + uint8_t(c)) % 65521;
    b = (b + a) % 65521;
  }
  std::string stream = "\x78\x01";
  for (size_t at = 0; at < rows.size(); at += 65535) {
    const std::string block = rows.substr(at, 65535);
    const auto n = uint16_t(block.size());
    stream += at + 65535 >= rows.size() ? '\1' : '\0';
    stream += {char(n), char(n >> 8), char(~n), char(uint16_t(~n) >> 8)};
    stream += block;
  }
  stream += big_endian(b << 16 | a);
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", big_endian(uint32_t(image.width)) + big_endian(uint32_t(image.height)) +
                               std::string("\x08\x02\0\0\0", 5)) +
         png_chunk("IDAT", stream) + png_chunk("IEND", "");
}

}  // namespace retort::testing
