#include "distill/detection/drawing.h"

#include <stb_easy_font.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "engine/base/utf8.h"

namespace retort {

namespace {

constexpr int least_side = 640;     // the longer one of what is drawn on
constexpr int side_of_scale = 500;  // so many pixels of it make letters larger by their own size
constexpr int letter_height = 10;
constexpr size_t quad_bytes = 64, most_quads = 16;  // of a letter; X has 11

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

// Letters are quads with sides along the axes, four corners of 16 bytes each. label: drawable.
void write(Image& image, int left, int top, int scale, std::string label) {
  std::vector<float> corners(label.size() * most_quads * quad_bytes / sizeof(float));
  const int quads =
      stb_easy_font_print(0, 0, label.data(), nullptr, corners.data(), int(corners.size() * sizeof(float)));
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

// Without its marks, U+00C0 to U+017F: one letter, ? where it takes two or there is none.
constexpr std::string_view plain_latin =
    "AAAAAA?CEEEEIIIIDNOOOOO?OUUUUY??aaaaaa?ceeeeiiiidnooooo?ouuuuy?y"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi??JjKkkLlLlLlL"
    "lLlNnNnNnnNnOoOoOo??RrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";
const std::map<uint32_t, std::string_view> two_letters = {{0xc6, "AE"},  {0xe6, "ae"},  {0xdf, "ss"},
                                                          {0x152, "OE"}, {0x153, "oe"}, {0x132, "IJ"},
                                                          {0x133, "ij"}, {0xde, "Th"},  {0xfe, "th"}};

// Of a character that is no ASCII.
std::string plain(std::string_view character) {
  if (character.size() != 2 || !is_utf8(character)) return "?";
  const uint32_t code = (uint8_t(character[0]) & 0x1fu) << 6 | (uint8_t(character[1]) & 0x3fu);
  if (code >= 0x300 && code <= 0x36f) return "";  // a mark over the letter before it
  if (const auto found = two_letters.find(code); found != two_letters.end())
    return std::string(found->second);
  return code >= 0xc0 && code < 0x180 ? std::string(1, plain_latin[code - 0xc0]) : "?";
}

}  // namespace

std::string drawable(std::string_view text) {
  std::string all;
  for (size_t at = 0, end = 0; at < text.size(); at = end) {
    const auto byte = uint8_t(text[at]);
    end = at + 1;
    if (byte < 0x80) {
      all += byte >= ' ' && byte <= '~' ? text[at] : '?';
      continue;
    }
    while (end < text.size() && (uint8_t(text[end]) & 0xc0) == 0x80) ++end;  // continuation bytes
    all += plain(text.substr(at, end - at));
  }
  return all;
}

std::vector<std::string> drawn_names(const std::vector<CocoImage>& images) {
  const auto stem = [](const CocoImage& image) {
    return std::filesystem::path(image.file_name).stem().string();
  };
  std::map<std::string, int> pictures_of;
  for (const CocoImage& image : images) ++pictures_of[stem(image)];
  std::set<std::string> taken;
  for (const auto& [name, pictures] : pictures_of)
    if (pictures == 1) taken.insert(name);
  std::vector<std::string> names;
  for (const CocoImage& image : images) {
    std::string name = stem(image);
    if (pictures_of[name] > 1) {
      do name += "-" + std::to_string(image.id);
      while (!taken.insert(name).second);
    }
    names.push_back(name + ".png");
  }
  return names;
}

Image with_boxes(const Image& picture, const std::vector<DrawnBox>& boxes) {
  const int longer = std::max(picture.height, picture.width);
  const int factor = (least_side - 1) / longer + 1;  // rounded up
  Image image = enlarged(picture, factor);
  const int usual = std::max(2, int(std::lround(double(longer * factor) / side_of_scale))), line = usual;
  for (const DrawnBox& drawn : boxes) {
    const Rgb& colour = colours[size_t(drawn.colour) % std::size(colours)];
    const auto at = [&](double v) { return int(std::lround(v * factor)); };
    const int left = at(drawn.box.x), top = at(drawn.box.y), right = at(drawn.box.x + drawn.box.width),
              bottom = at(drawn.box.y + drawn.box.height);
    fill(image, left, top, right, top + line, colour);
    fill(image, left, bottom - line, right, bottom, colour);
    fill(image, left, top, left + line, bottom, colour);
    fill(image, right - line, top, right, bottom, colour);
    std::string label = drawable(drawn.label);
    const int columns = stb_easy_font_width(label.data()) + 4;
    const int scale = std::clamp(image.width / columns, 1, usual);  // smaller where the picture is narrow
    const int width = columns * scale, height = (letter_height + 2) * scale;
    // Above the box where there is room, inside it else, and never beyond the picture's right side.
    const int y = top >= height ? top - height : top, x = std::max(0, std::min(left, image.width - width));
    fill(image, x, y, x + width, y + height, colour);
    write(image, x + 2 * scale, y + 2 * scale, scale, label);
  }
  return image;
}

}  // namespace retort
