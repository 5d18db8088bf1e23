#include "distill/report/sketch.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "distill/report/stroke_font.h"
#include "distill/text/markup.h"
#include "distill/text/svg.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

struct Rgb {
  double red, green, blue;
};

Rgb rgb_of(const std::string& colour) {
  check(colour.size() == 7 && colour[0] == '#', "sketch: a colour is '", colour, "', expected #rrggbb");
  const auto channel = [&](size_t at) { return double(std::stoi(colour.substr(at, 2), nullptr, 16)); };
  return {channel(1), channel(3), channel(5)};
}

// The distance of a point from a stretch of a line.
double distance(double x, double y, const Sketch::Line& line) {
  const double dx = line.x2 - line.x1, dy = line.y2 - line.y1, length = dx * dx + dy * dy;
  const double along =
      length > 0 ? std::clamp(((x - line.x1) * dx + (y - line.y1) * dy) / length, 0.0, 1.0) : 0;
  return std::hypot(x - line.x1 - along * dx, y - line.y1 - along * dy);
}

// Pixels at the edge get the share of them that is covered.
void paint(Image& image, const Sketch::Line& line) {
  const Rgb colour = rgb_of(line.colour);
  const double half = line.width / 2;
  const auto low = [&](double a, double b) { return int(std::floor(std::min(a, b) - half - 1)); };
  const auto high = [&](double a, double b) { return int(std::ceil(std::max(a, b) + half + 1)); };
  for (int y = std::max(0, low(line.y1, line.y2)); y < std::min(image.height, high(line.y1, line.y2)); ++y) {
    for (int x = std::max(0, low(line.x1, line.x2)); x < std::min(image.width, high(line.x1, line.x2)); ++x) {
      const double share = std::clamp(half + 0.5 - distance(x + 0.5, y + 0.5, line), 0.0, 1.0);
      if (share == 0) continue;
      uint8_t* pixel = image.pixels.data() + (size_t(y) * size_t(image.width) + size_t(x)) * 3;
      const double full[] = {colour.red, colour.green, colour.blue};
      for (int c = 0; c < 3; ++c) pixel[c] = uint8_t(std::lround(pixel[c] + share * (full[c] - pixel[c])));
    }
  }
}

void paint(Image& image, const Sketch::Words& words) {
  const StrokedText letters = stroked(words.content);
  const std::string_view anchor = words.anchor;
  const double shift = anchor == "end" ? 1 : anchor == "middle" ? 0.5 : 0;
  const double left = words.x - shift * letters.width * words.size;
  for (const StrokePath& path : letters.paths) {
    for (size_t i = 0; i < path.size(); ++i) {
      const auto &a = path[i], &b = path[std::min(i + 1, path.size() - 1)];
      paint(image, Sketch::Line{left + a.first * words.size, words.y - a.second * words.size,
                                left + b.first * words.size, words.y - b.second * words.size,
                                words.size * (words.bold ? 0.11 : 0.075), words.colour});
    }
  }
}

}  // namespace

std::string sketch_svg(const Sketch& sketch, const std::string& title) {
  const std::string style =
      "  text { font-family: system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", sans-serif; }\n"
      "  path { fill: none; stroke-linecap: round; }\n  .page { fill: " +
      sketch.background + "; }\n";
  Svg svg = Svg::file(sketch.width, sketch.height, title, style);
  const auto at = [](double value) { return fixed(value, 1); };
  for (const Sketch::Line& line : sketch.lines)
    svg.raw("<path stroke=\"" + line.colour + "\" stroke-width=\"" + at(line.width) + "\" d=\"M" +
            at(line.x1) + " " + at(line.y1) + "L" + at(line.x2) + " " + at(line.y2) + "\"/>\n");
  for (const Sketch::Words& words : sketch.words)
    svg.raw("<text x=\"" + at(words.x) + "\" y=\"" + at(words.y) + "\" font-size=\"" + at(0.8 * words.size) +
            "\" text-anchor=\"" + words.anchor + "\" fill=\"" + words.colour + "\"" +
            (words.bold ? " font-weight=\"600\"" : "") + ">" + escaped_markup(words.content) + "</text>\n");
  return svg.finish();
}

Image sketch_image(const Sketch& sketch) {
  Image image{sketch.height, sketch.width, {}};
  const Rgb page = rgb_of(sketch.background);
  for (int i = 0; i < sketch.height * sketch.width; ++i)
    for (const double channel : {page.red, page.green, page.blue}) image.pixels.push_back(uint8_t(channel));
  for (const Sketch::Line& line : sketch.lines) paint(image, line);
  for (const Sketch::Words& words : sketch.words) paint(image, words);
  return image;
}

}  // namespace retort
