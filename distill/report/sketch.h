// Drawings of lines, dots and words in pixels, as SVG and, for those who show only bitmaps, as an image.
#pragma once
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"

namespace retort {

struct Sketch {
  int width = 0, height = 0;
  std::string background;  // colours are "#rrggbb"

  // With round ends; of no length it is a dot.
  struct Line {
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0, width = 1;
    std::string colour;
  };
  struct Words {
    double x = 0, y = 0, size = 20;  // y: of the baseline; size: the line's height
    const char* anchor = "start";    // as in SVG: start, middle, end
    bool bold = false;
    std::string content, colour;
  };
  std::vector<Line> lines;
  std::vector<Words> words;  // on top of the lines

  void line(double x1, double y1, double x2, double y2, double thick, const std::string& colour) {
    lines.push_back({x1, y1, x2, y2, thick, colour});
  }
  void dot(double x, double y, double radius, const std::string& colour) {
    lines.push_back({x, y, x, y, 2 * radius, colour});
  }
};

std::string sketch_svg(const Sketch& sketch, const std::string& title);

// Smooth, with letters of strokes; characters that they lack are boxes.
Image sketch_image(const Sketch& sketch);

}  // namespace retort
