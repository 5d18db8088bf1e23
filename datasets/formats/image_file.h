// Pictures from JPEG and PNG files.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace retort {

struct Image {
  int height = 0, width = 0;
  std::vector<uint8_t> pixels;  // H,W,3: R, G, B
  int orientation = 1;          // as a camera noted it (EXIF), 1..8; 1: upright
};

// Grey and CMYK become RGB, as Pillow converts them; transparency is dropped; 16 bits become 8; the
// orientation that a camera noted is not applied, see upright(). What follows the picture's end (the video of
// a motion photo) does not matter. `name` is for messages. What is not a whole JPEG or PNG, has a wrong
// checksum, or more than 16,384 rows or columns or 2^26 pixels, is a Fault::input with the reason.
Image decode_image(std::span<const uint8_t> file, const std::string& name);
Image read_image(const std::filesystem::path& path);

// The picture as its orientation says that it is to be seen; its own orientation is 1 then.
Image upright(const Image& image);

// The image itself if it is side x side, else resized so that its shorter side is `side`, and the centre cut
// out.
struct Fitted {
  Image image;
  bool resized = false;  // whether anything had to be done
};
Fitted fit_image(const Image& image, int side);

// Bilinear with antialiasing, as Pillow and torchvision resize: each result is a mean of the source weighted
// by a triangle as wide as the reduction.
Image resize_image(const Image& image, int height, int width);

}  // namespace retort
