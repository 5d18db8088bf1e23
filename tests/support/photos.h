// What data/photos.py and the tests that read its files share: pictures by a rule, hashes, the JPEGs' folder.
#pragma once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"
#include "tests/support/closed_formula.h"
#include "tests/support/paths.h"

namespace retort::testing {

inline std::filesystem::path photo(const std::string& name) {
  return std::filesystem::path(data_folder()) / "photos" / name;
}

inline Image ruled_picture(int height, int width) {
  Image image{height, width, {}};
  image.pixels.reserve(size_t(height) * size_t(width) * 3);
  for (uint64_t i = 0; i < uint64_t(height) * uint64_t(width) * 3; ++i) {
    const uint64_t noise = uint32_t(i * 2654435761u) >> 24, y = i / (3 * uint64_t(width)),
                   x = i / 3 % uint64_t(width);
    image.pixels.push_back(uint8_t(noise / 2 + y * 255 / (2 * uint64_t(height)) + x * 37));
  }
  return image;
}

inline std::string pixel_hash(std::span<const uint8_t> bytes) {
  const uint64_t h = fnv1a64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(h));
  return digits;
}

}  // namespace retort::testing
