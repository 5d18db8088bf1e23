// Pictures from JPEG and PNG files.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "datasets/formats/picture_decoder.h"

namespace retort {

struct Image {
  int height = 0, width = 0;
  std::vector<uint8_t> pixels;  // H,W,3: R, G, B
  int orientation = 1;          // as a camera noted it (EXIF), 1..8; 1: upright
};

// The whole picture, see PictureDecoder; the orientation that a camera noted is not applied, see upright().
Image decode_image(std::span<const uint8_t> file, const std::string& name, Decoder decoder = Decoder::stb);
Image read_image(const std::filesystem::path& path, Decoder decoder = Decoder::stb);

PixelView view_of(const Image& image);

// The picture as its orientation says that it is to be seen; its own orientation is 1 then.
Image upright(const Image& image);
// How large the upright picture of a file is; it is not decoded.
PictureSize upright_size(const std::filesystem::path& path);

// How a picture is looked at where nothing is random: resized to height x width, its shorter side being
// `resized` pixels (the longer one rounded down), and the centre side x side cut out of it, half a pixel to
// the even side, as torchvision's Resize and CenterCrop.
struct CentreView {
  int height = 0, width = 0;
  Box cut;
};
CentreView centre_view(const PictureSize& size, int resized, int side);

// The image itself if it is side x side and nothing is to be cut off, else its centre as above; resized less than side:
// as side.
struct Fitted {
  Image image;
  bool resized = false;  // whether anything had to be done
};
Fitted fit_image(const Image& image, int side, int resized = 0);

// See Resizer.
Image resize_image(const Image& image, int height, int width);

}  // namespace retort
