// Letters as strokes, for bitmaps: no font has to be there.
#pragma once
#include <string_view>
#include <utility>
#include <vector>

namespace retort {

using StrokePath = std::vector<std::pair<double, double>>;  // x to the right, y upwards from the baseline

struct StrokedText {
  std::vector<StrokePath> paths;  // a path of one point is a dot
  double width = 0;
};

// In units of the line's height, the letters of UTF-8 text one after another.
StrokedText stroked(std::string_view text);

}  // namespace retort
