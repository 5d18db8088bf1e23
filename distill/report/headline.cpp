#include "distill/report/headline.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

#include "distill/report/figures.h"
#include "distill/report/stroke_font.h"
#include "distill/text/palette.h"
#include "distill/text/svg.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr int width = 1200, height = 630;
constexpr size_t most_rows = 9;
constexpr const char *page = "#fbfaf8", *ink = "#1c1b19", *soft = "#5d5a55", *grid = "#e3dfd8",
                     *accent = "#b4430b";

struct Entry {
  std::string label, value;
  int colour = 0;
  PairedDifference of;
};

struct Content {
  const ResultPair* pair = nullptr;
  bool to_kd = false;
  std::vector<Entry> entries;
  size_t seeds = 0, left_out = 0;
};

// Student's interval of a mean: of the differences to nothing.
PairedDifference mean_with_interval(const std::vector<double>& values) {
  return paired_difference(values, std::vector<double>(values.size(), 0.0));
}

Content content_of(const ResultPair& pair) {
  Content content{.pair = &pair, .entries = {}};
  for (const ResultRow& row : pair.rows) content.to_kd = content.to_kd || against_kd(pair, row).last.n > 0;
  const std::vector<int> colours = row_colours(pair);
  for (const size_t r : clear_first(pair)) {
    const ResultRow& row = pair.rows[r];
    Entry entry{
        .label = row.method == "ce" ? row.label + " (alone)" : row.label, .value = {}, .colour = colours[r], .of = {}};
    if (content.to_kd) {
      entry.of = against_kd(pair, row).last;
      entry.value = difference_text(entry.of);
    } else {
      const std::vector<double> values = row.values(&Summary::last);
      entry.of = mean_with_interval(values);
      entry.value = mean_and_deviation(values);
    }
    if (entry.of.n == 0 || !is_drawable(entry.of.mean)) continue;
    content.seeds = std::max(content.seeds, entry.of.n);
    if (content.entries.size() < most_rows)
      content.entries.push_back(std::move(entry));
    else
      ++content.left_out;
  }
  return content;
}

// As large as fits; what would then be too small is cut.
Sketch::Words fitted(Sketch::Words words, double room, double least) {
  const auto wide = [&] { return stroked(words.content).width * words.size; };
  if (wide() > room) words.size = std::max(least, words.size * room / wide());
  while (wide() > room && display_width(words.content) > 1)
    words.content = cut_to_width(words.content, display_width(words.content) - 1);
  return words;
}

}  // namespace

std::optional<Sketch> headline(const Results& results) {
  Content shown;
  for (const ResultPair& pair : results.pairs) {
    Content content = content_of(pair);
    const auto rank = [](const Content& c) { return std::make_tuple(!c.entries.empty(), c.to_kd, c.seeds); };
    if (!shown.pair || rank(content) > rank(shown)) shown = std::move(content);
  }
  if (!shown.pair || shown.entries.empty()) return std::nullopt;

  Sketch sketch{.width = width, .height = height, .background = page, .lines = {}, .words = {}};
  const auto words = [&](double x, double y, double size, const char* anchor, const std::string& content,
                         const char* colour, bool bold, double room) {
    sketch.words.push_back(fitted({x, y, size, anchor, bold, content, colour}, room, 0.6 * size));
  };
  const ResultPair& pair = *shown.pair;
  const std::string pair_name =
      pair.teacher.empty() ? pair.student : pair.teacher + " teaches " + pair.student;
  words(60, 76, 46, "start", results.title, ink, true, width - 120);
  const std::string seeds = counted(int64_t(shown.seeds), "seed");
  words(60, 122, 30, "start",
        (results.title.find(pair.student) == std::string::npos ? pair_name + ", " : "") +
            pair.data_name() + ", " + seeds,
        soft, false, width - 120);

  constexpr double left = 320, right = 790, top = 176, bottom = 530;
  AxisRange scale;
  if (shown.to_kd) scale.add(0);
  for (const Entry& entry : shown.entries) {
    for (const double value : {entry.of.mean, entry.of.low, entry.of.high}) scale.add(value);
  }
  scale.settle(0.06);
  const auto at = [&](double value) {
    return left + (value - scale.low) / (scale.high - scale.low) * (right - left);
  };
  const std::vector<double> ticks = axis_ticks(scale.low, scale.high, 6);
  for (const double tick : ticks) {
    const bool zero = shown.to_kd && std::abs(tick) < 1e-9;
    sketch.line(at(tick), top - 12, at(tick), bottom, zero ? 3 : 1.5, zero ? soft : grid);
    words(at(tick), bottom + 34, 24, "middle", PlotFrame::tick_text(tick, ticks, shown.to_kd), soft, false,
          120);
  }
  if (shown.to_kd) words(at(0), top - 20, 22, "middle", "plain KD", soft, false, 140);
  const double step = (bottom - top) / double(shown.entries.size()), size = std::min(34.0, 0.72 * step);
  for (size_t i = 0; i < shown.entries.size(); ++i) {
    const Entry& entry = shown.entries[i];
    const double y = top + step * (double(i) + 0.5);
    const char* colour = palette[entry.colour % palette_size].light;
    if (is_drawable(entry.of.low) && is_drawable(entry.of.high))
      sketch.line(at(entry.of.low), y, at(entry.of.high), y, 6, colour);
    sketch.dot(at(entry.of.mean), y, 10, colour);
    words(left - 30, y + 0.28 * size, size, "end", entry.label, ink, true, left - 90);
    words(right + 30, y + 0.28 * size, std::min(28.0, size), "start", entry.value, ink, false,
          width - right - 60);
  }
  const Metric& metric = pair.metric();
  std::string note = metric.word;
  note[0] = char(std::toupper(static_cast<unsigned char>(note[0])));
  note = shown.to_kd ? text(note, ", ", metric.of_differences(), " over plain KD at the last epoch")
                     : metric.labelled(note + " at the last epoch");
  note += shown.seeds > 1 ? "; bars: 95 % intervals" : "; one seed has no interval";
  if (shown.left_out > 0) note += text("; ", shown.left_out, " more in the report");
  words(60, 604, 26, "start", note, soft, false, 900);
  words(width - 60, 604, 28, "end", "retort", accent, true, 160);
  return sketch;
}

}  // namespace retort
