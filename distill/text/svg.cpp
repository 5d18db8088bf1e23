#include "distill/text/svg.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string at(double coordinate) {
  return fixed(coordinate, 1);
}

std::string class_of(const std::string& kind) {
  return kind.empty() ? "" : " class=\"" + kind + "\"";
}

bool all_drawable(std::initializer_list<double> coordinates) {
  return std::all_of(coordinates.begin(), coordinates.end(), is_drawable);
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int most, double least_step) {
  check(low < high && most > 0, "axis_ticks: from ", low, " to ", high, " in ", most, " steps");
  const double power = std::pow(10, std::floor(std::log10((high - low) / most)));
  double step = power;
  for (double factor : {2.0, 5.0, 10.0})
    if ((high - low) / step > most) step = factor * power;
  step = std::max(step, least_step);
  std::vector<double> ticks;
  // The multiples of the step, with a little tolerance for ends that are such multiples but for rounding.
  const double first = std::ceil(low / step - 1e-6), last = std::floor(high / step + 1e-6);
  for (double multiple = first; multiple <= last && ticks.size() <= size_t(most); ++multiple)
    ticks.push_back(multiple * step);
  return ticks;
}

bool is_drawable(double value) {
  return std::abs(value) < 1e30;
}

void AxisRange::add(double value) {
  if (!is_drawable(value)) return;
  low = std::min(low, value);
  high = std::max(high, value);
}

void AxisRange::settle(double margin, double floor, double ceiling) {
  if (low > high) low = 0, high = 1;
  const double lowest = std::min(low, floor), highest = std::max(high, ceiling);
  const double space = std::max(margin * (high - low), 1e-6 * std::max({1.0, std::abs(low), std::abs(high)}));
  low -= space;
  high += space;
  if (high - low < 1e-3) low -= 0.5, high += 0.5;
  low = std::max(low, lowest);
  high = std::min(high, highest);
}

Svg::Svg(double height, const std::string& title, const std::string& description, double width,
         const std::string& kind) {
  out_ << "<svg viewBox=\"0 0 " << at(width) << ' ' << at(height) << '"' << class_of(kind)
       << " role=\"img\" aria-label=\"" << escaped_markup(title + ". " + description) << "\">\n";
}

Svg Svg::file(double width, double height, const std::string& title, const std::string& style) {
  Svg svg;
  svg.out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 " << at(width) << ' '
           << at(height) << "\" width=\"" << at(width) << "\" height=\"" << at(height) << "\">\n<title>"
           << escaped_markup(title) << "</title>\n<style>\n"
           << style << "</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n";
  return svg;
}

void Svg::label(double x, double y, const char* anchor, const std::string& content, const std::string& kind) {
  if (!all_drawable({x, y})) return;
  out_ << "<text x=\"" << at(x) << "\" y=\"" << at(y) << "\" text-anchor=\"" << anchor << '"'
       << class_of(kind) << '>' << escaped_markup(content) << "</text>\n";
}

void Svg::hanging(double x, double y, const std::string& content, const std::string& kind) {
  if (!all_drawable({x, y})) return;
  out_ << "<text transform=\"translate(" << at(x) << ' ' << at(y) << ") rotate(-60)\" text-anchor=\"end\""
       << class_of(kind) << '>' << escaped_markup(content) << "</text>\n";
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& kind) {
  if (!all_drawable({x1, y1, x2, y2})) return;
  out_ << "<line x1=\"" << at(x1) << "\" y1=\"" << at(y1) << "\" x2=\"" << at(x2) << "\" y2=\"" << at(y2)
       << '"' << class_of(kind) << "/>\n";
}

void Svg::path(const std::string& d, const std::string& kind) {
  if (!d.empty()) out_ << "<path" << class_of(kind) << " d=\"" << d << "\"/>\n";
}

void Svg::dot(double x, double y, double r, const std::string& kind, const std::string& tip) {
  if (!all_drawable({x, y, r})) return;
  out_ << "<circle cx=\"" << at(x) << "\" cy=\"" << at(y) << "\" r=\"" << at(r) << '"' << class_of(kind)
       << (tip.empty() ? "/>" : "><title>" + escaped_markup(tip) + "</title></circle>") << '\n';
}

void Svg::box(double x, double y, double w, double h, const std::string& kind, double opacity,
              const std::string& tip) {
  if (!all_drawable({x, y, w, h, opacity})) return;
  out_ << "<rect x=\"" << at(x) << "\" y=\"" << at(y) << "\" width=\"" << at(w) << "\" height=\"" << at(h)
       << "\" rx=\"2\"" << class_of(kind) << " fill-opacity=\"" << fixed(opacity, 2) << "\"><title>"
       << escaped_markup(tip) << "</title></rect>\n";
}

void Svg::raw(const std::string& element) {
  out_ << element;
}

void Svg::begin_group(const std::string& kind) {
  out_ << "<g" << class_of(kind) << ">\n";
}

void Svg::end_group() {
  out_ << "</g>\n";
}

std::string Svg::finish() {
  return out_.str() + "</svg>\n";
}

std::string PlotFrame::tick_text(double value, const std::vector<double>& ticks, bool sign) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int decimals = std::clamp(int(-std::floor(std::log10(step * 1.0001))), 0, 6);
  const double shown = std::abs(value) < step / 2 ? 0 : value;
  return sign || shown < 0 ? signed_number(shown, decimals) : fixed(shown, decimals);
}

void PlotFrame::draw(Svg& svg, const std::string& x_label, const std::string& y_label, bool sign,
                     double least_x_step) const {
  const std::vector<double> ys = axis_ticks(y.low, y.high, 5);
  for (const double tick : ys) {
    svg.line(left, py(tick), right, py(tick), sign && std::abs(tick) < 1e-9 ? "zero" : "grid");
    svg.label(left - 6, py(tick) + 4, "end", tick_text(tick, ys, sign), "tick");
  }
  const std::vector<double> xs = axis_ticks(x.low, x.high, 6, least_x_step);
  for (const double tick : xs) svg.label(px(tick), bottom + 16, "middle", tick_text(tick, xs, false), "tick");
  svg.line(left, bottom, right, bottom, "axis");
  svg.label(right, bottom + 33, "end", x_label, "tick");
  svg.label(left, top - 5, "start", y_label, "tick");
}

std::string PlotFrame::path(const std::vector<std::pair<double, double>>& points) const {
  std::string d;
  for (const auto& [x_value, y_value] : points) {
    if (!is_drawable(x_value) || !is_drawable(y_value)) continue;
    d += (d.empty() ? "M" : "L") + at(px(x_value)) + " " + at(py(y_value));
  }
  return d;
}

}  // namespace retort
