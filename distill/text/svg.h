// Drawing SVG: shapes with classes, which a page's style colours, and the frame of a plot.
#pragma once
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace retort {

// Widths in coordinates: near the pixels that a figure gets, so that text keeps its size on any screen.
constexpr double full_figure = 900, wide_figure = 440, phone_figure = 360, narrow_figure = 330;

// Whether a value has a place in a figure: it is finite, and not beyond 1e30, where an axis would say nothing
// any more.
bool is_drawable(double value);

// What values an axis shows.
struct AxisRange {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value);  // widens the range, unless the value is not drawable
  // More room on both sides, a share of the extent; never empty afterwards. What is added does not pass
  // `floor` and `ceiling`, floor < ceiling: percentages end at 0 and 100.
  void settle(double margin, double floor = -std::numeric_limits<double>::infinity(),
              double ceiling = std::numeric_limits<double>::infinity());
};

// Round numbers from `low` to `high` inclusive, steps of 1, 2 or 5 times a power of ten, at most `most` + 1.
// Never steps below `least_step`. low < high.
std::vector<double> axis_ticks(double low, double high, int most, double least_step = 0);

// One drawing. `kind` is the class of an element: what it stands for. What would lie at a coordinate that is
// not drawable is left out.
class Svg {
 public:
  // Part of a page, whose style colours it and whose width it takes.
  Svg(double height, const std::string& title, const std::string& description, double width = wide_figure,
      const std::string& kind = "");
  // A file of its own: with a size, and with rules of style.
  static Svg file(double width, double height, const std::string& title, const std::string& style);

  // anchor: which point of the text is at x: start, middle, end.
  void label(double x, double y, const char* anchor, const std::string& content,
             const std::string& kind = "");
  // Downwards from (x, y), for names below an axis.
  void hanging(double x, double y, const std::string& content, const std::string& kind);
  void line(double x1, double y1, double x2, double y2, const std::string& kind);
  void path(const std::string& d, const std::string& kind);
  void dot(double x, double y, double r, const std::string& kind, const std::string& tip = "");
  void box(double x, double y, double w, double h, const std::string& kind, double opacity,
           const std::string& tip);
  void raw(const std::string& element);  // as it is
  void begin_group(const std::string& kind);
  void end_group();
  std::string finish();

 private:
  Svg() = default;
  std::ostringstream out_;
};

// A plot's frame: grid, ticks and the mapping of values to coordinates.
struct PlotFrame {
  double left = 40, right = wide_figure - 12, top = 16, bottom = 250;
  AxisRange x, y;

  double px(double value) const { return left + (value - x.low) / (x.high - x.low) * (right - left); }
  double py(double value) const { return bottom - (value - y.low) / (y.high - y.low) * (bottom - top); }

  // With as many decimals as the ticks' distance needs; sign: also of numbers above 0.
  static std::string tick_text(double value, const std::vector<double>& ticks, bool sign);
  void draw(Svg& svg, const std::string& x_label, const std::string& y_label, bool sign = false,
            double least_x_step = 0) const;
  // For Svg::path(); points whose y is not finite are left out.
  std::string path(const std::vector<std::pair<double, double>>& points) const;
};

}  // namespace retort
