#include "distill/report/figures.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "distill/text/markup.h"
#include "distill/text/svg.h"
#include "distill/text/svg_plot.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::vector<std::pair<double, double>> test_points(const ResultRun& run) {
  std::vector<std::pair<double, double>> points;
  for (const EpochMetrics& row : run.metrics.rows) points.emplace_back(row.epoch, row.test_acc);
  return points;
}

// Over the epochs that every seed with epochs has.
std::vector<std::pair<double, double>> mean_points(const ResultRow& row) {
  std::map<int, std::vector<double>> by_epoch;
  size_t runs = 0;
  for (const ResultRun& run : row.runs) {
    runs += !run.metrics.rows.empty();
    for (const EpochMetrics& m : run.metrics.rows) by_epoch[m.epoch].push_back(m.test_acc);
  }
  std::vector<std::pair<double, double>> points;
  for (const auto& [epoch, values] : by_epoch) {
    if (values.size() == runs) points.emplace_back(epoch, mean_of(values));
  }
  return points;
}

PlotFrame curves_frame(const ResultPair& pair) {
  PlotFrame frame;
  for (const ResultRow& row : pair.rows) {
    for (const ResultRun& run : row.runs) {
      for (const auto& [epoch, accuracy] : test_points(run)) {
        frame.x.add(epoch);
        frame.y.add(accuracy);
      }
    }
  }
  if (frame.x.low > frame.x.high) frame.x.low = 0, frame.x.high = 1;
  if (frame.x.high == frame.x.low) frame.x.high += 1;
  frame.y.settle(0.05);
  frame.y.low = std::max(0.0, frame.y.low);
  frame.y.high = std::min(100.0, frame.y.high);
  return frame;
}

void draw_lone(Svg& svg, const PlotFrame& frame, const std::vector<std::pair<double, double>>& points,
               const std::string& kind) {
  if (points.size() == 1) svg.dot(frame.px(points[0].first), frame.py(points[0].second), 3, kind);
}

std::string last_text(const ResultRow& row) {
  const auto points = mean_points(row);
  return points.empty()
             ? row.label + ": no epoch yet"
             : text(row.label, ": ", fixed(points.back().second, 2), " % after epoch ", points.back().first);
}

// 24 bits per pixel, rows from below, blue first: what every browser shows without compression.
std::string bitmap(const ChosenImage& image) {
  const auto side = size_t(image.side);
  const size_t stride = (3 * side + 3) / 4 * 4;
  std::string file;
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file += char(value >> (8 * i) & 0xff);
  };
  file += "BM";
  put(uint32_t(54 + stride * side), 4);
  put(0, 4);
  put(54, 4);
  put(40, 4);
  put(uint32_t(side), 4);
  put(uint32_t(side), 4);
  put(1, 2);
  put(24, 2);
  for (int i = 0; i < 6; ++i) put(0, 4);
  for (size_t y = side; y-- > 0;) {
    for (size_t x = 0; x < side; ++x) {
      const uint8_t* pixel = image.pixels.data() + (y * side + x) * 3;
      for (const int channel : {2, 1, 0}) file += char(pixel[channel]);
    }
    file.append(stride - 3 * side, '\0');
  }
  return file;
}

}  // namespace

std::string color_class(size_t row) {
  return text("c", row % 10);
}

std::string curves_figure(const ResultPair& pair) {
  const PlotFrame frame = curves_frame(pair);
  std::string description;
  for (const ResultRow& row : pair.rows) description += last_text(row) + "; ";
  Svg svg(290, "Top-1 on the test images over the epochs, mean of the seeds", description);
  frame.draw(svg, "epoch", "top-1 on the test images, %", false, 1);
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const ResultRow& row = pair.rows[r];
    svg.begin_group(text("series ", color_class(r), " row", r));
    for (const ResultRun& run : row.runs) svg.path(frame.path(test_points(run)), "thin");
    svg.path(frame.path(mean_points(row)), text("thick", r >= 5 ? " dashed" : ""));
    draw_lone(svg, frame, mean_points(row), "mark");
    svg.end_group();
  }
  return svg.finish();
}

std::string row_curves_figure(const ResultPair& pair, size_t index) {
  const ResultRow& row = pair.rows[index];
  const ResultRow* kd = pair.plain_kd();
  PlotFrame frame = curves_frame(pair);
  frame.left = 32;
  frame.right = narrow_figure - 8;
  frame.bottom = 180;
  Svg svg(218, row.label + ", its seeds and their mean", last_text(row), narrow_figure);
  frame.draw(svg, "epoch", "top-1, %", false, 1);
  if (kd && kd != &row) {
    svg.begin_group("series c-ref");
    svg.path(frame.path(mean_points(*kd)), "thick dashed");
    svg.end_group();
  }
  svg.begin_group("series " + color_class(index));
  for (const ResultRun& run : row.runs) {
    svg.path(frame.path(test_points(run)), "thin strong");
    draw_lone(svg, frame, test_points(run), "mark");
  }
  svg.path(frame.path(mean_points(row)), "thick");
  svg.end_group();
  return svg.finish();
}

std::string differences_figure(const ResultPair& pair) {
  struct Entry {
    size_t row;
    Comparison difference;
  };
  std::vector<Entry> entries;
  PlotFrame frame;
  frame.left = 8;
  frame.x.add(0);
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const Comparison d = against_kd(pair, pair.rows[r]);
    if (d.last.n == 0) continue;
    entries.push_back({r, d});
    for (const PairedDifference* one : {&d.best, &d.last}) {
      for (const double value : {one->mean, one->low, one->high}) frame.x.add(value);
    }
  }
  if (entries.empty()) return "";
  frame.x.settle(0.04);
  const double row_height = 54, top = 22;
  frame.top = top;
  frame.bottom = top + row_height * double(entries.size()) + 6;
  std::string description;
  for (const Entry& e : entries)
    description += text(pair.rows[e.row].label, " ", difference_text(e.difference.last), ", ",
                        verdict_text(e.difference), "; ");
  Svg svg(frame.bottom + 36, "Difference to plain KD in percentage points, last epoch", description);
  const std::vector<double> xs = axis_ticks(frame.x.low, frame.x.high, 9);
  for (const double tick : xs) {
    svg.line(frame.px(tick), top, frame.px(tick), frame.bottom, std::abs(tick) < 1e-9 ? "zero" : "grid");
    svg.label(frame.px(tick), frame.bottom + 16, "middle", PlotFrame::tick_text(tick, xs, true), "tick");
  }
  svg.label(frame.px(0), top - 8, "middle", "plain KD", "tick");
  svg.label(frame.right, frame.bottom + 32, "end", "percentage points over KD", "tick");
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& e = entries[i];
    const double y = top + row_height * double(i);
    svg.label(frame.left, y + 16, "start", pair.rows[e.row].label, "name halo");
    const std::string verdict = verdict_text(e.difference);
    svg.label(frame.right, y + 16, "end", verdict, "tick halo");
    svg.begin_group("series " + color_class(e.row));
    const auto interval = [&](const PairedDifference& d, double level, bool last) {
      if (!std::isnan(d.low))
        svg.line(frame.px(d.low), level, frame.px(d.high), level, last ? "thick" : "thin strong");
      svg.dot(frame.px(d.mean), level, 4.5, last ? "mark" : "hollow",
              text(pair.rows[e.row].label, last ? ", last epoch: " : ", best epoch: ", difference_text(d)));
    };
    interval(e.difference.last, y + 29, true);
    interval(e.difference.best, y + 42, false);
    svg.end_group();
  }
  return svg.finish();
}

std::string class_gain_figure(const std::string& title, const std::string& color,
                              const std::vector<ClassPoint>& points) {
  PlotFrame frame;
  frame.right = narrow_figure - 8;
  frame.bottom = 220;
  frame.y.add(0);
  for (const ClassPoint& point : points) {
    frame.x.add(100 * point.confidence);
    frame.y.add(point.gain);
  }
  frame.x.settle(0.04);
  frame.x.low = std::max(0.0, frame.x.low);
  frame.x.high = std::min(100.0, frame.x.high);
  frame.y.settle(0.08);
  Svg svg(258, title, text(points.size(), " classes; the values are in the table below"), narrow_figure);
  frame.draw(svg, "teacher's mean probability of the class, %", "gain over KD, points", true);
  svg.begin_group("series " + color);
  for (const ClassPoint& point : points)
    svg.dot(frame.px(100 * point.confidence), frame.py(point.gain), 3.6, "mark soft",
            text(point.name, ": gain ", signed_number(point.gain, 1), ", confidence ",
                 fixed(100 * point.confidence, 1), " %"));
  svg.end_group();
  // Means of thirds of the classes by confidence: what a rank correlation sums up.
  std::vector<ClassPoint> sorted = points;
  std::sort(sorted.begin(), sorted.end(),
            [](const ClassPoint& a, const ClassPoint& b) { return a.confidence < b.confidence; });
  for (size_t third = 0; third < 3 && sorted.size() >= 6; ++third) {
    const size_t first = sorted.size() * third / 3, end = sorted.size() * (third + 1) / 3;
    double sum = 0;
    for (size_t i = first; i < end; ++i) sum += sorted[i].gain / double(end - first);
    svg.line(frame.px(100 * sorted[first].confidence), frame.py(sum),
             frame.px(100 * sorted[end - 1].confidence), frame.py(sum), "mean-line");
  }
  return svg.finish();
}

std::string pcd_figure(const PcdSteps& steps, const ChosenImage& image,
                       const std::vector<std::string>& class_names) {
  const auto classes = steps.order.size();
  const bool few = classes <= 30;
  const double step = few ? 26 : 8, wide = 52 + step * double(classes);
  PlotFrame frame;
  frame.left = 44;
  frame.right = wide - 8;
  frame.bottom = 190;
  for (const double z : image.teacher) frame.y.add(z);
  for (const double z : image.student) frame.y.add(z);
  frame.y.settle(0.08);
  frame.x.low = -0.5;
  frame.x.high = double(classes) - 0.5;
  const double names = few ? 106 : 26;
  const double strips = frame.bottom + names, strip = 30;
  const double height = strips + strip * double(steps.stages.size()) + 24;
  const auto name_of = [&](int32_t c) {
    return size_t(c) < class_names.size() ? class_names[size_t(c)] : std::to_string(c);
  };
  Svg svg(height, "Logits of teacher and student, classes in ranked order, and the groups of each stage",
          "The largest gap is at " + name_of(steps.order[0]) + "; all groups are in the table below", wide);
  const std::vector<double> ys = axis_ticks(frame.y.low, frame.y.high, 5);
  for (const double tick : ys) {
    svg.line(frame.left, frame.py(tick), frame.right, frame.py(tick), "grid");
    svg.label(frame.left - 6, frame.py(tick) + 4, "end", PlotFrame::tick_text(tick, ys, false), "tick");
  }
  svg.label(frame.left, frame.top - 5, "start", "logit", "tick");
  for (size_t r = 0; r < classes; ++r) {
    const int32_t c = steps.order[r];
    const double x = frame.px(double(r)), t = frame.py(image.teacher[size_t(c)]),
                 s = frame.py(image.student[size_t(c)]);
    const std::string tip = text(name_of(c), ": teacher ", fixed(image.teacher[size_t(c)], 2), ", student ",
                                 fixed(image.student[size_t(c)], 2));
    const bool right = c == image.label;
    if (right) svg.line(x, frame.top, x, frame.bottom, "truth");
    svg.line(x, t, x, s, "gap");
    svg.dot(x, t, few ? 4.5 : 3, "teacher", tip);
    svg.dot(x, s, few ? 4.5 : 3, "student", tip);
    if (few) svg.hanging(x + 4, frame.bottom + 12, name_of(c), right ? "tick strong-text" : "tick");
  }
  if (!few) svg.label(frame.left, frame.bottom + 13, "start", "classes, the largest gap first", "tick");

  // A strip per stage: its groups below the classes that are in them, the darker the more they add.
  double most = 1e-300;
  for (const auto& groups : steps.stages) {
    for (const PcdGroup& group : groups) most = std::max(most, group.loss);
  }
  for (size_t k = 0; k < steps.stages.size(); ++k) {
    const double y = strips + strip * double(k);
    svg.label(frame.left - 6, y + 18, "end", text("k = ", k + 1), "tick");
    for (const PcdGroup& group : steps.stages[k]) {
      const double x0 = frame.px(double(group.first) - 0.5) + 1;
      const double x1 = frame.px(double(group.first + group.count) - 0.5) - 1;
      svg.box(x0, y, x1 - x0, strip - 6, "group", 0.1 + 0.45 * group.loss / most,
              text("stage of ", k + 1, ", ", group.count, " classes: λ ", significant(group.lambda, 3),
                   ", KL ", significant(group.kl, 3)));
      if (x1 - x0 > 52)
        svg.label((x0 + x1) / 2, y + 16, "middle", "λ " + significant(group.lambda, 2), "inside");
    }
  }
  svg.label(frame.left, height - 4, "start",
            "groups of each stage: the stronger the colour, the more of the loss", "tick");
  return svg.finish();
}

std::string picture(const ChosenImage& image, const std::string& description) {
  if (image.pixels.empty()) return "";
  return "<img class=\"pixels\" alt=\"" + escaped_markup(description) + "\" src=\"data:image/bmp;base64," +
         base64(bitmap(image)) + "\">";
}

}  // namespace retort
