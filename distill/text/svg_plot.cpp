#include "distill/text/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "distill/text/palette.h"
#include "distill/text/svg.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {
namespace {

constexpr double panel_width = 460, panel_height = 300;         // of the plotting area and its labels
constexpr double left = 52, right = 14, top = 34, bottom = 44;  // room for labels inside a panel
constexpr double title_height = 34, line_height = 20, margin = 12;

constexpr const char* style =
    R"(  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #333; }
  .title { font-size: 15px; font-weight: 600; }
  .head { font-size: 13px; font-weight: 600; }
  .page { fill: #fff; }
  .grid { stroke: #888; stroke-opacity: .25; }
  .axis { stroke: #888; }
  .line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
  .dashed { stroke-width: 1.4; stroke-dasharray: 4 4; stroke-opacity: .75; }
  .mark { fill: currentColor; }
  @media (prefers-color-scheme: dark) { text { fill: #ddd; } .page { fill: #161616; } }
)";

// Beyond the palette: hues a golden angle apart, of medium lightness.
std::string further_colour(int index) {
  const double hue = std::fmod(index * 137.50776405, 360) / 60;
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue, 6);
    return int(std::lround(70 + 130 * std::clamp(std::min(k, 4 - k), 0.0, 1.0)));
  };
  return text("rgb(", channel(5), ',', channel(3), ',', channel(1), ')');
}

// The rules of the colours that the panels use.
std::string colours_of(const std::vector<PlotPanel>& panels) {
  std::set<int> used;
  for (const PlotPanel& panel : panels)
    for (const PlotSeries& series : panel.series) used.insert(series.color);
  std::string rules, dark;
  for (const int colour : used) {
    const bool known = colour < palette_size;
    rules +=
        text("  .c", colour, " { color: ", known ? palette[colour].light : further_colour(colour), "; }\n");
    if (known) dark += text(" .c", colour, " { color: ", palette[colour].dark, "; }");
  }
  return rules + "  @media (prefers-color-scheme: dark) {" + dark + " }\n";
}

std::string at(double coordinate) {
  return fixed(coordinate, 1);
}

bool has_place(const std::pair<double, double>& point) {
  return is_drawable(point.first) && is_drawable(point.second);
}

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // At least 1 wide where there is one value, more where a diverging loss is too large for 1 to show in its
  // digits; 0 to 1 where there is none.
  void settle() {
    if (low > high) low = 0, high = 1;
    const double size = std::max(std::abs(low), std::abs(high));
    if (high - low >= 1e-9 * std::max(1.0, size)) return;
    const double room = std::max(0.5, 1e-3 * size);
    low -= room, high += room;
  }
};

// As many decimals as the step needs.
std::string tick_label(double value, double step) {
  if (std::abs(value) >= 1e6 || step < 1e-5) return significant(value, 4);
  return fixed(std::abs(value) < step / 2 ? 0 : value,
               std::clamp(int(-std::floor(std::log10(step * 1.0001))), 0, 6));
}

void add_series(Svg& svg, const PlotSeries& series, auto&& x_of, auto&& y_of) {
  const std::string colour = text(" c", series.color);
  std::string path;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const auto& point = series.points[i];
    if (!has_place(point)) continue;
    const bool begins = i == 0 || !has_place(series.points[i - 1]);
    const bool ends = i + 1 == series.points.size() || !has_place(series.points[i + 1]);
    if (begins && ends)  // alone: a line of no length would not be seen
      svg.dot(x_of(point.first), y_of(point.second), 2.5, "mark" + colour);
    else
      path += (begins ? 'M' : 'L') + at(x_of(point.first)) + ' ' + at(y_of(point.second));
  }
  svg.path(path, (series.dashed ? "line dashed" : "line") + colour);
}

void add_panel(Svg& svg, const PlotPanel& panel, double x0, double y0) {
  Extent x, y;
  for (const PlotSeries& series : panel.series)
    for (const auto& point : series.points)
      if (has_place(point)) {
        x.add(point.first);
        y.add(point.second);
      }
  x.settle();
  const double lowest = std::min(panel.y_floor, y.low), highest = std::max(panel.y_ceiling, y.high);
  y.settle();
  const double space = 0.04 * (y.high - y.low);
  y.low = std::max(y.low - space, lowest);
  y.high = std::min(y.high + space, highest);

  const double x_left = x0 + left, x_right = x0 + panel_width - right;
  const double y_top = y0 + top, y_bottom = y0 + panel_height - bottom;
  const auto x_of = [&](double value) {
    return x_left + (value - x.low) / (x.high - x.low) * (x_right - x_left);
  };
  const auto y_of = [&](double value) {
    return y_bottom - (value - y.low) / (y.high - y.low) * (y_bottom - y_top);
  };

  svg.label(x_left, y0 + 20, "start", panel.title, "head");
  svg.label((x_left + x_right) / 2, y_bottom + 38, "middle", panel.x_label);
  const auto step_of = [](const std::vector<double>& ticks) {
    return ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  };
  const std::vector<double> y_ticks = axis_ticks(y.low, y.high, 6);
  for (double tick : y_ticks) {
    svg.line(x_left, y_of(tick), x_right, y_of(tick), "grid");
    svg.label(x_left - 7, y_of(tick) + 4, "end", tick_label(tick, step_of(y_ticks)));
  }
  const std::vector<double> x_ticks = axis_ticks(x.low, x.high, 8, 1);
  for (double tick : x_ticks) {
    svg.line(x_of(tick), y_bottom, x_of(tick), y_bottom + 4, "axis");
    svg.label(x_of(tick), y_bottom + 18, "middle", tick_label(tick, step_of(x_ticks)));
  }
  svg.line(x_left, y_bottom, x_right, y_bottom, "axis");
  for (const PlotSeries& series : panel.series) add_series(svg, series, x_of, y_of);
}

// A label, once, and its place.
struct LegendEntry {
  const PlotSeries* series;
  double x;
  int line;
};
std::vector<LegendEntry> legend_of(const std::vector<PlotPanel>& panels, double width) {
  std::vector<LegendEntry> entries;
  double x = 0;
  int line = 0;
  for (const PlotPanel& panel : panels)
    for (const PlotSeries& series : panel.series) {
      const bool known = std::any_of(entries.begin(), entries.end(), [&](const LegendEntry& entry) {
        return entry.series->label == series.label;
      });
      if (series.label.empty() || known) continue;
      const double needed = 46 + 7.2 * double(display_width(series.label));
      if (x > 0 && x + needed > width) x = 0, ++line;
      entries.push_back({&series, x, line});
      x += needed;
    }
  return entries;
}

}  // namespace

std::string svg_plot(const std::string& title, const std::vector<PlotPanel>& panels,
                     const std::string& footnote) {
  const double width = panel_width * double(std::max<size_t>(1, panels.size())) + 2 * margin;
  const std::vector<LegendEntry> legend = legend_of(panels, width - 2 * margin - left);
  const double legend_top = title_height + panel_height + margin;
  const double legend_height = legend.empty() ? 0 : line_height * (legend.back().line + 1);
  const double height = legend_top + legend_height + (footnote.empty() ? 0 : line_height) + margin;

  Svg svg = Svg::file(width, height, title, style + colours_of(panels));
  svg.label(margin + left, margin + 14, "start", title, "title");
  for (size_t i = 0; i < panels.size(); ++i)
    add_panel(svg, panels[i], margin + panel_width * double(i), title_height);
  for (const LegendEntry& entry : legend) {
    const double x = margin + left + entry.x, y = legend_top + line_height * entry.line + 10;
    PlotSeries sample = *entry.series;
    sample.points = {{x, y - 4}, {x + 24, y - 4}};
    const auto as_it_is = [](double value) { return value; };
    add_series(svg, sample, as_it_is, as_it_is);
    svg.label(x + 30, y, "start", sample.label);
  }
  if (!footnote.empty()) svg.label(margin + left, legend_top + legend_height + 10, "start", footnote);
  return svg.finish();
}

}  // namespace retort
