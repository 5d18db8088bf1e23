// A folder of photos of a few classes, drawn by a rule, for tests.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/support/photos.h"
#include "tests/support/png_writer.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {

// A picture of its own for every (class, number): a shade of the class under noise.
inline Image class_picture(int label, int number, int height, int width) {
  Image image = ruled_picture(height, width);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = uint8_t((int(image.pixels[i]) + 97 * number) % 128 + (label == int(i % 3) ? 127 : 0));
  return image;
}

// train/{amber,beryl,coral}/N.png and val/ alike. side 0: every picture of another size, from 40 x 50 on.
inline void write_photo_folder(const TempFolder& folder, int train, int test, int side = 0) {
  const char* const names[] = {"amber", "beryl", "coral"};
  for (int c = 0; c < 3; ++c)
    for (int i = 0; i < train + test; ++i) {
      const int height = side ? side : 40 + 7 * i, width = side ? side : 50 + 11 * ((i + c) % 5);
      folder.write(std::string(i < train ? "train/" : "val/") + names[c] + "/" + std::to_string(i) + ".png",
                   png_of(class_picture(c, i, height, width)));
    }
}

}  // namespace retort::testing
