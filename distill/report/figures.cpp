#include "distill/report/figures.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>

#include "distill/text/markup.h"
#include "distill/text/palette.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

// Of the epochs in which something was measured.
std::vector<std::pair<double, double>> test_points(const ResultRun& run) {
  std::vector<std::pair<double, double>> points;
  for (const EpochMetrics& row : run.metrics.rows) {
    const MetricValue first = row.first();
    if (first.is_measured() && is_drawable(first.value)) points.emplace_back(row.epoch, first.value);
  }
  return points;
}

// Over the epochs that every seed with points has.
std::vector<std::pair<double, double>> mean_points(const ResultRow& row) {
  std::map<double, std::vector<double>> by_epoch;
  size_t runs = 0;
  for (const ResultRun& run : row.runs) {
    const auto points = test_points(run);
    runs += !points.empty();
    for (const auto& [epoch, value] : points) by_epoch[epoch].push_back(value);
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
      for (const auto& [epoch, value] : test_points(run)) {
        frame.x.add(epoch);
        frame.y.add(value);
      }
    }
  }
  if (frame.x.low > frame.x.high) frame.x.low = 0, frame.x.high = 1;
  if (frame.x.high == frame.x.low) frame.x.high += 1;
  pair.metric().in_percent() ? frame.y.settle(0.05, 0, 100) : frame.y.settle(0.05);
  return frame;
}

void draw_lone(Svg& svg, const PlotFrame& frame, const std::vector<std::pair<double, double>>& points,
               const std::string& kind) {
  if (points.size() == 1) svg.dot(frame.px(points[0].first), frame.py(points[0].second), 3, kind);
}

std::string last_text(const ResultRow& row) {
  const auto points = mean_points(row);
  return points.empty() ? row.label + ": no epoch measured"
                        : text(row.label, ": ", row.metric().shown(points.back().second), " after epoch ",
                               points.back().first);
}

// 24 bits per pixel, rows from below, blue first: what every browser shows without compression.
std::string bitmap(const uint8_t* pixels, size_t height, size_t width) {
  const size_t stride = (3 * width + 3) / 4 * 4;
  std::string file;
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file += char(value >> (8 * i) & 0xff);
  };
  file += "BM";
  put(uint32_t(54 + stride * height), 4);
  put(0, 4);
  put(54, 4);
  put(40, 4);
  put(uint32_t(width), 4);
  put(uint32_t(height), 4);
  put(1, 2);
  put(24, 2);
  for (int i = 0; i < 6; ++i) put(0, 4);
  for (size_t y = height; y-- > 0;) {
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* pixel = pixels + (y * width + x) * 3;
      for (const int channel : {2, 1, 0}) file += char(pixel[channel]);
    }
    file.append(stride - 3 * width, '\0');
  }
  return file;
}

std::string bitmap_uri(const uint8_t* pixels, size_t height, size_t width) {
  return "data:image/bmp;base64," + base64(bitmap(pixels, height, width));
}

constexpr size_t named_points = 10;  // of many

const char* shown_at(double width) {
  return width == full_figure ? "at-wide" : "at-narrow";
}

// What all rows have at an epoch, the highest first, for the reader who points at it.
std::string reading(const ResultPair& pair, const std::vector<std::vector<std::pair<double, double>>>& means,
                    double epoch) {
  std::vector<std::pair<double, std::string>> values;
  for (size_t r = 0; r < means.size(); ++r) {
    for (const auto& [x, y] : means[r]) {
      if (x == epoch && std::isfinite(y)) values.emplace_back(-y, pair.rows[r].label);
    }
  }
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string all = text("Epoch ", epoch, ": ");
  for (size_t i = 0; i < values.size(); ++i)
    all += text(i ? "; " : "", values[i].second, " ", pair.metric().number(-values[i].first));
  return all;
}

std::string curves_drawing(const ResultPair& pair, double width) {
  PlotFrame frame = curves_frame(pair);
  frame.right = width - 12;
  frame.bottom = width == full_figure ? 330 : 230;
  std::string description;
  for (const ResultRow& row : pair.rows) description += last_text(row) + "; ";
  const std::string& score = pair.metric().word;
  Svg svg(frame.bottom + 40, score + " on the test images over the epochs, mean of the seeds", description,
          width, shown_at(width));
  frame.draw(svg, "epoch", pair.metric().labelled(score + " on the test images"), false, 1);
  const std::vector<int> colours = row_colours(pair);
  std::vector<std::vector<std::pair<double, double>>> means;
  std::set<double> epochs;
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const ResultRow& row = pair.rows[r];
    means.push_back(mean_points(row));
    for (const auto& point : means.back()) epochs.insert(point.first);
    svg.begin_group(text("series ", colour_class(colours[r]), " row", r));
    for (const ResultRun& run : row.runs) svg.path(frame.path(test_points(run)), "thin");
    svg.path(frame.path(means.back()), text("thick", is_dashed(colours[r]) ? " dashed" : ""));
    draw_lone(svg, frame, means.back(), "mark");
    svg.end_group();
  }
  // Columns to point at.
  for (auto epoch = epochs.begin(); epoch != epochs.end(); ++epoch) {
    const double from = epoch == epochs.begin() ? *epoch : (*std::prev(epoch) + *epoch) / 2;
    const double to = std::next(epoch) == epochs.end() ? *epoch : (*std::next(epoch) + *epoch) / 2;
    const double x0 = std::max(frame.left, frame.px(from) - 3), x1 = std::min(frame.right, frame.px(to) + 3);
    svg.box(x0, frame.top, x1 - x0, frame.bottom - frame.top, "hover", 0, reading(pair, means, *epoch));
  }
  return svg.finish();
}

std::string differences_drawing(const ResultPair& pair, const std::vector<size_t>& rows,
                                const AxisRange& scale, double width) {
  const bool full = width == full_figure;
  PlotFrame frame;
  frame.x = scale;
  frame.left = full ? 210 : 8;
  frame.right = full ? width - 300 : width - 8;
  const double row_height = full ? 34 : 54, top = 22;
  frame.top = top;
  frame.bottom = top + row_height * double(rows.size()) + 6;
  std::string description;
  for (const size_t r : rows) {
    const Comparison d = against_kd(pair, pair.rows[r]);
    description += text(pair.rows[r].label, " ", difference_text(d.last), ", ", verdict_text(d), "; ");
  }
  const std::string points = pair.metric().of_differences();
  Svg svg(frame.bottom + 36, "Difference to plain KD in " + points + ", last epoch", description, width,
          shown_at(width));
  const std::vector<double> xs = axis_ticks(frame.x.low, frame.x.high, full ? 8 : 6);
  for (const double tick : xs) {
    svg.line(frame.px(tick), top, frame.px(tick), frame.bottom, std::abs(tick) < 1e-9 ? "zero" : "grid");
    svg.label(frame.px(tick), frame.bottom + 16, "middle", PlotFrame::tick_text(tick, xs, true), "tick");
  }
  svg.label(frame.px(0), top - 8, "middle", "plain KD", "tick");
  svg.label(frame.right, frame.bottom + 32, "end", points + " over KD", "tick");
  const std::vector<int> colours = row_colours(pair);
  for (size_t i = 0; i < rows.size(); ++i) {
    const ResultRow& row = pair.rows[rows[i]];
    const Comparison d = against_kd(pair, row);
    const double y = top + row_height * double(i);
    const std::string verdict = verdict_text(d);
    if (full) {
      svg.label(frame.left - 16, y + 22, "end", row.label, "name");
      svg.label(frame.right + 16, y + 22, "start", difference_text(d.last), "value");
      svg.label(width - 2, y + 22, "end", verdict,
                verdict == "better" || verdict == "worse" ? verdict : "tick");
    } else {
      svg.label(frame.left, y + 16, "start", row.label, "name halo");
      svg.label(frame.right, y + 16, "end", verdict, "tick halo");
    }
    svg.begin_group("series " + colour_class(colours[rows[i]]));
    const auto interval = [&](const PairedDifference& one, double level, bool last) {
      if (!std::isnan(one.low))
        svg.line(frame.px(one.low), level, frame.px(one.high), level, last ? "thick" : "thin strong");
      svg.dot(frame.px(one.mean), level, 4.5, last ? "mark" : "hollow",
              text(row.label, last ? ", last epoch: " : ", best epoch: ", difference_text(one)));
    };
    interval(d.last, y + (full ? 13 : 29), true);
    interval(d.best, y + (full ? 26 : 42), false);
    svg.end_group();
  }
  return svg.finish();
}

// Names beside the points whose gains are farthest from zero, where they have room.
void name_farthest(Svg& svg, const PlotFrame& frame, std::vector<ClassPoint> points) {
  std::stable_sort(points.begin(), points.end(), [](const ClassPoint& a, const ClassPoint& b) {
    return std::abs(a.gain) > std::abs(b.gain);
  });
  struct Taken {
    double left, right, y;
  };
  std::vector<Taken> taken;
  for (size_t i = 0; i < points.size() && i < named_points; ++i) {
    const double x = frame.px(100 * points[i].confidence), y = frame.py(points[i].gain) + 3.5;
    const double length = 5.4 * double(display_width(points[i].name));
    const bool fits = x + 7 + length < frame.right;
    const Taken place = fits ? Taken{x + 6, x + 7 + length, y} : Taken{x - 7 - length, x - 6, y};
    const bool free = std::none_of(taken.begin(), taken.end(), [&](const Taken& other) {
      return std::abs(other.y - y) < 10 && place.left < other.right && other.left < place.right;
    });
    if (!free || place.left < frame.left) continue;
    taken.push_back(place);
    svg.label(fits ? x + 6 : x - 6, y, fits ? "start" : "end", points[i].name, "point halo");
  }
}

}  // namespace

std::vector<int> row_colours(const ResultPair& pair) {
  std::vector<std::string> methods;
  for (const ResultRow& row : pair.rows) methods.push_back(row.method);
  return method_colours(methods);
}

std::vector<size_t> clear_first(const ResultPair& pair) {
  std::vector<size_t> order(pair.rows.size());
  std::vector<std::pair<bool, double>> rank;  // clear, and how much better
  for (size_t r = 0; r < order.size(); ++r) {
    const PairedDifference d = against_kd(pair, pair.rows[r]).last;
    const Verdict verdict = verdict_of(d);
    const bool clear = verdict == Verdict::better || verdict == Verdict::worse;
    order[r] = r;
    rank.emplace_back(clear, !clear ? 0 : d.higher_is_better ? d.mean : -d.mean);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rank[a] > rank[b]; });
  return order;
}

std::string curves_figure(const ResultPair& pair) {
  return curves_drawing(pair, full_figure) + curves_drawing(pair, phone_figure);
}

std::string row_curves_figure(const ResultPair& pair, size_t index) {
  const ResultRow& row = pair.rows[index];
  const ResultRow* kd = pair.plain_kd();
  PlotFrame frame = curves_frame(pair);
  frame.left = 32;
  frame.right = narrow_figure - 8;
  frame.bottom = 180;
  Svg svg(218, row.label + ", its seeds and their mean", last_text(row), narrow_figure);
  frame.draw(svg, "epoch", pair.metric().labelled(pair.metric().word), false, 1);
  if (kd && kd != &row) {
    svg.begin_group("series c-ref");
    svg.path(frame.path(mean_points(*kd)), "thick dashed");
    svg.end_group();
  }
  svg.begin_group("series " + colour_class(row_colours(pair)[index]));
  for (const ResultRun& run : row.runs) {
    svg.path(frame.path(test_points(run)), "thin strong");
    draw_lone(svg, frame, test_points(run), "mark");
  }
  svg.path(frame.path(mean_points(row)), "thick");
  svg.end_group();
  return svg.finish();
}

void add_differences(const ResultPair& pair, AxisRange& scale) {
  for (const ResultRow& row : pair.rows) {
    const Comparison d = against_kd(pair, row);
    if (d.last.n == 0) continue;
    scale.add(0);
    for (const PairedDifference* one : {&d.best, &d.last}) {
      for (const double value : {one->mean, one->low, one->high}) scale.add(value);
    }
  }
}

std::string differences_figure(const ResultPair& pair, const AxisRange& scale) {
  std::vector<size_t> rows;
  for (const size_t r : clear_first(pair)) {
    if (against_kd(pair, pair.rows[r]).last.n > 0) rows.push_back(r);
  }
  if (rows.empty()) return "";
  return differences_drawing(pair, rows, scale, full_figure) +
         differences_drawing(pair, rows, scale, phone_figure);
}

void ClassScales::add(const std::vector<ClassPoint>& points) {
  gain.add(0);
  for (const ClassPoint& point : points) {
    confidence.add(100 * point.confidence);
    gain.add(point.gain);
  }
}

void ClassScales::settle() {
  confidence.settle(0.04, 0, 100);
  gain.settle(0.08);
}

std::string class_gain_figure(const std::string& title, int colour, const std::vector<ClassPoint>& classes,
                              const ClassScales& scales) {
  std::vector<ClassPoint> points;  // of the classes that the test images hold
  std::copy_if(classes.begin(), classes.end(), std::back_inserter(points), [](const ClassPoint& point) {
    return is_drawable(point.confidence) && is_drawable(point.gain);
  });
  PlotFrame frame;
  frame.right = narrow_figure - 8;
  frame.bottom = 220;
  frame.x = scales.confidence;
  frame.y = scales.gain;
  Svg svg(258, title, text(points.size(), " classes; the values are in the table below"), narrow_figure);
  frame.draw(svg, "teacher's mean probability of the class, %", "gain over KD, points", true);
  svg.begin_group("series " + colour_class(colour));
  for (const ClassPoint& point : points)
    svg.dot(frame.px(100 * point.confidence), frame.py(point.gain), 3.6, "mark soft",
            text(point.name, ": gain ", signed_number(point.gain, 1), ", confidence ",
                 fixed(100 * point.confidence, 1), " %"));
  svg.end_group();
  name_farthest(svg, frame, points);
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
  const double names = few ? 106 : 116;
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
  if (!few) {
    // The first ones by name, farther apart than their dots.
    const double apart = 15;
    for (size_t r = 0; r < std::min(classes, named_points); ++r) {
      const double x = frame.left + 8 + apart * double(r);
      svg.line(frame.px(double(r)), frame.bottom + 2, x, frame.bottom + 14, "grid");
      svg.hanging(x + 4, frame.bottom + 22, name_of(steps.order[r]),
                  steps.order[r] == image.label ? "tick strong-text" : "tick");
    }
    svg.label(frame.left + 24 + apart * named_points, frame.bottom + 24, "start",
              "the ten classes of the largest gap, and on to the smallest", "tick");
  }

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

std::string picture_uri(const Image& picture) {
  constexpr size_t enough = 400;  // pixels of the longer side
  const auto height = size_t(picture.height), width = size_t(picture.width);
  const size_t factor = std::max<size_t>(1, (std::max(height, width) + enough - 1) / enough);
  const size_t rows = std::max<size_t>(1, height / factor), columns = std::max<size_t>(1, width / factor);
  std::vector<uint8_t> small;
  for (size_t y = 0; y < rows; ++y) {
    for (size_t x = 0; x < columns; ++x) {
      const uint8_t* pixel = picture.pixels.data() + (y * factor * width + x * factor) * 3;
      small.insert(small.end(), pixel, pixel + 3);
    }
  }
  return bitmap_uri(small.data(), rows, columns);
}

std::string picture(const ChosenImage& image, const std::string& description) {
  if (image.pixels.empty()) return "";
  const auto side = size_t(image.side);
  return "<img class=\"pixels\" alt=\"" + escaped_markup(description) + "\" src=\"" +
         bitmap_uri(image.pixels.data(), side, side) + "\">";
}

}  // namespace retort
