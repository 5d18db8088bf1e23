#include "distill/detection/drawing.h"

#include <stb_easy_font.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace retort {

namespace {

constexpr int least_side = 480;  // of what is drawn on
constexpr int letter_height = 10;

using Rgb = std::array<uint8_t, 3>;
constexpr Rgb colours[] = {{230, 60, 60},  {60, 170, 75},  {50, 110, 220}, {235, 140, 30},
                           {145, 60, 190}, {20, 160, 170}, {230, 80, 180}, {130, 110, 40}};
constexpr Rgb white = {255, 255, 255};

void fill(Image& image, int left, int top, int right, int bottom, const Rgb& colour) {
  left = std::clamp(left, 0, image.width);
  right = std::clamp(right, 0, image.width);
  top = std::clamp(top, 0, image.height);
  bottom = std::clamp(bottom, 0, image.height);
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x)
      std::copy(colour.begin(), colour.end(), image.pixels.begin() + (int64_t(y) * image.width + x) * 3);
}

// Letters are quads with sides along the axes, four corners of 16 bytes each.
void write(Image& image, int left, int top, int scale, std::string text) {
  std::vector<float> corners(size_t(text.size() + 1) * 270 / sizeof(float) + 64);
  const int quads =
      stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(), int(corners.size() * sizeof(float)));
  for (int q = 0; q < quads; ++q) {
    const float *first = corners.data() + size_t(q) * 16, *opposite = first + 8;
    const auto at = [&](float v) { return int(std::lround(v * float(scale))); };
    fill(image, left + at(first[0]), top + at(first[1]), left + at(opposite[0]), top + at(opposite[1]),
         white);
  }
}

Image enlarged(const Image& picture, int factor) {
  Image large{picture.height * factor, picture.width * factor, {}};
  large.pixels.reserve(picture.pixels.size() * size_t(factor) * size_t(factor));
  for (int y = 0; y < large.height; ++y)
    for (int x = 0; x < large.width; ++x) {
      const auto from = picture.pixels.begin() + (int64_t(y / factor) * picture.width + x / factor) * 3;
      large.pixels.insert(large.pixels.end(), from, from + 3);
    }
  return large;
}

}  // namespace

Image with_boxes(const Image& picture, const std::vector<DrawnBox>& boxes) {
  const int longer = std::max(picture.height, picture.width);
  const int factor = std::max(1, least_side / longer);
  Image image = enlarged(picture, factor);
  const int scale = std::max(1, longer * factor / 640), line = 2 * scale;
  for (const DrawnBox& drawn : boxes) {
    const Rgb& colour = colours[size_t(drawn.colour) % std::size(colours)];
    const auto at = [&](double v) { return int(std::lround(v * factor)); };
    const int left = at(drawn.box.x), top = at(drawn.box.y), right = at(drawn.box.x + drawn.box.width),
              bottom = at(drawn.box.y + drawn.box.height);
    fill(image, left, top, right, top + line, colour);
    fill(image, left, bottom - line, right, bottom, colour);
    fill(image, left, top, left + line, bottom, colour);
    fill(image, right - line, top, right, bottom, colour);
    std::string label = drawn.label;
    const int width = (stb_easy_font_width(label.data()) + 4) * scale, height = (letter_height + 2) * scale;
    // Above the box where there is room, inside it else, and never beyond the picture's right side.
    const int y = top >= height ? top - height : top, x = std::max(0, std::min(left, image.width - width));
    fill(image, x, y, x + width, y + height, colour);
    write(image, x + 2 * scale, y + 2 * scale, scale, label);
  }
  return image;
}

}  // namespace retort
