// A small set of .npy files, whose first test pixel can be another.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "datasets/formats/npy.h"

namespace retort::testing {

// 12 images of 32x32 pixels for training and as many for tests, of 3 classes, in `folder`, for "npy:FOLDER".
inline void write_npy_pictures(const std::filesystem::path& folder, uint8_t first_of_test) {
  std::filesystem::create_directories(folder);
  for (const std::string part : {"train", "test"}) {
    std::vector<uint8_t> images(size_t(12 * 32 * 32 * 3)), labels;
    for (size_t i = 0; i < images.size(); ++i) images[i] = uint8_t(i * 7 + i / 3072);
    if (part == "test") images[0] = first_of_test;
    for (int i = 0; i < 12; ++i) labels.push_back(uint8_t(i % 3));
    write_npy(folder / (part + "_images.npy"), DType::u8, {12, 32, 32, 3}, std::as_bytes(std::span(images)));
    write_npy(folder / (part + "_labels.npy"), DType::u8, {12}, std::as_bytes(std::span(labels)));
  }
}

}  // namespace retort::testing
