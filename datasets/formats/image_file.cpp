#include "datasets/formats/image_file.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace {

// Half of what is too much; a half pixel goes to the even side, as in torchvision's centre crop.
int centre_offset(int excess) {
  return excess / 2 + (excess % 4 == 3 ? 1 : 0);
}

}  // namespace

Image decode_image(std::span<const uint8_t> file, const std::string& name, Decoder decoder) {
  PictureDecoder pictures(decoder);
  const PixelView view =
      pictures.decode(file, name, [](const PictureSize& size) { return Box{0, 0, size.height, size.width}; });
  Image image{view.height, view.width, std::vector<uint8_t>(size_t(view.height) * size_t(view.width) * 3),
              pictures.orientation()};
  view.copy_to(image.pixels.data());
  return image;
}

Image read_image(const std::filesystem::path& path, Decoder decoder) {
  InputFile file(path);
  return decode_image(file.read_all(max_picture_file), file.name(), decoder);
}

Image upright(const Image& image) {
  const int noted = image.orientation;
  if (noted <= 1 || noted > 8) return image;
  // Orientations of 5 and more exchange rows and columns; which corner the first pixel belongs to follows.
  const bool turned = noted >= 5;
  const bool from_right = noted == 2 || noted == 3 || noted == 7 || noted == 8;
  const bool from_below = noted == 3 || noted == 4 || noted == 6 || noted == 7;
  Image out{turned ? image.width : image.height, turned ? image.height : image.width,
            std::vector<uint8_t>(image.pixels.size())};
  uint8_t* to = out.pixels.data();
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x, to += 3) {
      int row = turned ? x : y, column = turned ? y : x;
      if (from_below) row = image.height - 1 - row;
      if (from_right) column = image.width - 1 - column;
      std::memcpy(to, &image.pixels[(size_t(row) * size_t(image.width) + size_t(column)) * 3], 3);
    }
  return out;
}

PictureSize upright_size(const std::filesystem::path& path) {
  InputFile file(path);
  PictureDecoder pictures;
  const PictureSize size = pictures.measure(file.read_all(max_picture_file), file.name());
  const bool turned = pictures.orientation() >= 5;  // as in upright()
  return turned ? PictureSize{size.width, size.height} : size;
}

PixelView view_of(const Image& image) {
  return {image.pixels.data(), image.height, image.width, 3 * int64_t(image.width)};
}

Image resize_image(const Image& image, int height, int width) {
  check(height >= 1 && width >= 1, "image: resize to ", height, " x ", width);
  Image out{height, width, std::vector<uint8_t>(size_t(height) * size_t(width) * 3), image.orientation};
  Resizer().resize(view_of(image), height, width, {0, 0, height, width}, out.pixels.data());
  return out;
}

CentreView centre_view(const PictureSize& size, int resized, int side) {
  check(side >= 1 && resized >= side, "image: the centre ", side, " of a shorter side of ", resized);
  const int shorter = std::min(size.height, size.width), longer = std::max(size.height, size.width);
  // However long: only the centre is computed.
  const int64_t long_side = int64_t(resized) * longer / shorter;
  check(long_side <= std::numeric_limits<int>::max(), "image: a longer side of ", long_side, " pixels");
  CentreView view;
  view.height = size.height > size.width ? int(long_side) : resized;
  view.width = size.height > size.width ? resized : int(long_side);
  view.cut = {centre_offset(view.height - side), centre_offset(view.width - side), side, side};
  return view;
}

Fitted fit_image(const Image& image, int side, int resized) {
  resized = std::max(side, resized);
  if (image.height == side && image.width == side && resized == side) return {image, false};
  const CentreView view = centre_view({image.height, image.width}, resized, side);
  Fitted fitted{{side, side, std::vector<uint8_t>(size_t(side) * size_t(side) * 3)}, true};
  Resizer().resize(view_of(image), view.height, view.width, view.cut, fitted.image.pixels.data());
  return fitted;
}

}  // namespace retort
