// The page's section on calibration and confusion.
#include <algorithm>
#include <cmath>

#include "distill/report/figures.h"
#include "distill/report/html_table.h"
#include "distill/report/judgement.h"
#include "distill/report/page.h"
#include "distill/report/sections.h"
#include "distill/text/markup.h"
#include "distill/text/palette.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr size_t most_drawn_classes = 30, most_confusions = 10;

// A network, or all seeds of one, with its colour.
struct Judged {
  std::string label, colour;  // a class of the style
  bool dashed = false;
  std::vector<Judgement> each;
  Judgement all;
};

std::vector<Judged> judged_networks(const ResultPair& pair, const PairEvaluation& evaluation) {
  std::vector<Judged> networks;
  if (!evaluation.teacher_judged.empty())
    networks.push_back({"teacher " + pair.teacher, "c-ref", true, {evaluation.teacher_judged}, {}});
  const std::vector<int> colours = row_colours(pair);
  for (size_t r = 0; r < evaluation.judged.size(); ++r) {
    Judged row{pair.rows[r].label, colour_class(colours[r]), is_dashed(colours[r]), {}, {}};
    for (const Judgement& one : evaluation.judged[r]) {
      if (!one.empty()) row.each.push_back(one);
    }
    if (!row.each.empty()) networks.push_back(std::move(row));
  }
  for (Judged& network : networks) network.all = joined(network.each);
  return networks;
}

std::string mark(const Judged& network) {
  return "<span class=\"swatch " + network.colour + "\" aria-hidden=\"true\"></span>" +
         escaped_markup(network.label);
}

std::string percent(const Judged& network, double (Judgement::*of)() const) {
  std::vector<double> values;
  for (const Judgement& one : network.each) values.push_back(100 * (one.*of)());
  return mean_and_deviation(values);
}

std::string calibration_table(const std::vector<Judged>& networks) {
  HtmlTable table("stack sortable");
  table.column("network");
  for (const char* name : {"ECE, %", "mean confidence, %", "right, %"})
    table.column(name, Column::number, true);
  for (const Judged& network : networks) {
    table.row();
    table.head(mark(network));
    table.cell(percent(network, &Judgement::calibration_error));
    table.cell(percent(network, &Judgement::mean_confidence));
    table.cell(percent(network, &Judgement::accuracy));
  }
  return table.finish();
}

// Accuracy against confidence by bin, of bins that say something.
std::string calibration_figure(const std::vector<Judged>& networks) {
  constexpr int64_t least_images = 10;
  PlotFrame frame;
  frame.right = wide_figure - 12;
  frame.bottom = 300;
  frame.x.low = frame.y.low = 0;
  frame.x.high = frame.y.high = 100;
  std::string description;
  for (const Judged& network : networks)
    description += text(network.label, ": ECE ", percent(network, &Judgement::calibration_error), " %; ");
  Svg svg(338, "How often networks are right by how sure they are", description);
  frame.draw(svg, "confidence, %", "right, %");
  svg.line(frame.px(0), frame.py(0), frame.px(100), frame.py(100), "zero");
  for (const Judged& network : networks) {
    std::vector<std::pair<double, double>> points;
    svg.begin_group("series " + network.colour);
    for (size_t b = 0; b < confidence_bins; ++b) {
      const int64_t images = network.all.images[b];
      if (images < least_images) continue;
      const double sure = 100 * network.all.confidence[b] / double(images),
                   right = 100 * double(network.all.right[b]) / double(images);
      points.emplace_back(sure, right);
      svg.dot(frame.px(sure), frame.py(right), 3, "mark",
              text(network.label, ": ", fixed(right, 1), " % right where it is ", fixed(sure, 1), " % sure, ",
                   images, " images"));
    }
    svg.path(frame.path(points), network.dashed ? "thick dashed" : "thick");
    svg.end_group();
  }
  return svg.finish();
}

// The share of each class's images that are said to be each class; the diagonal is what is right.
std::string confusion_figure(const Judged& network, const std::vector<std::string>& names) {
  const size_t classes = names.size();
  const double left = 96, side = narrow_figure - left - 4, step = side / double(classes);
  Svg svg(side + 92, network.label + ": what it takes for what", "rows are the classes, columns what it says",
          narrow_figure);
  std::vector<int64_t> images(classes);
  for (const auto& [which, count] : network.all.said) images[size_t(which.first)] += count;
  svg.begin_group("series " + network.colour);
  for (const auto& [which, count] : network.all.said) {
    const auto [truth, said] = which;
    const double share = double(count) / double(images[size_t(truth)]);
    svg.box(
        left + step * said, step * truth, step - 0.6, step - 0.6, truth == said ? "mark" : "wrong",
        0.08 + 0.92 * share,
        text(names[size_t(truth)], " is taken for ", names[size_t(said)], ": ", fixed(100 * share, 1), " %"));
  }
  svg.end_group();
  for (size_t c = 0; c < classes; ++c) {
    svg.label(left - 4, step * (double(c) + 0.5) + 3, "end", names[c], "cell");
    svg.hanging(left + step * (double(c) + 0.5) + 3, side + 8, names[c], "cell");
  }
  return svg.finish();
}

// What is most often taken for something else.
std::string confusions_table(const std::vector<Judged>& networks, const std::vector<std::string>& names) {
  HtmlTable table("wide");
  std::vector<std::vector<std::string>> columns;
  for (const Judged& network : networks) {
    std::vector<std::pair<double, std::string>> wrong;
    std::map<int, int64_t> images;
    for (const auto& [which, count] : network.all.said) images[which.first] += count;
    for (const auto& [which, count] : network.all.said) {
      if (which.first == which.second) continue;
      const double share = double(count) / double(images[which.first]);
      wrong.emplace_back(-share, names[size_t(which.first)] + " → " + names[size_t(which.second)]);
    }
    std::sort(wrong.begin(), wrong.end());
    table.column(network.label);
    std::vector<std::string> column;
    for (size_t i = 0; i < most_confusions; ++i)
      column.push_back(i < wrong.size() ? escaped_markup(wrong[i].second) + " <span class=\"dim\">" +
                                              fixed(-100 * wrong[i].first, 0) + " %</span>"
                                        : "");
    columns.push_back(std::move(column));
  }
  for (size_t i = 0; i < most_confusions; ++i) {
    table.row();
    for (const auto& column : columns) table.cell(column[i]);
  }
  return "<details><summary>What is taken for what most often, of the images of a class</summary>" +
         table.finish() + "</details>\n";
}

}  // namespace

std::string judgement_section(const Report& report) {
  std::string content;
  for (size_t p = 0; p < report.evaluations.pairs.size(); ++p) {
    const ResultPair& pair = report.data.pairs[p];
    const PairEvaluation& evaluation = report.evaluations.pairs[p];
    const std::vector<Judged> networks = judged_networks(pair, evaluation);
    if (networks.empty() || evaluation.class_names.empty()) continue;
    if (report.data.pairs.size() > 1) content += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    content += "<div class=\"beside\"><figure>" + calibration_figure(networks) + "</figure>\n" +
               calibration_table(networks) + "</div>\n";
    if (evaluation.class_names.size() <= most_drawn_classes) {
      content += "<div class=\"panels\">";
      for (const Judged& network : networks)
        content += "<figure><figcaption><b>" + mark(network) + "</b></figcaption>" +
                   confusion_figure(network, evaluation.class_names) + "</figure>\n";
      content += "</div>\n";
    }
    content += confusions_table(networks, evaluation.class_names);
  }
  return content.empty() ? "" : section("judgement.html", {{"content", content}});
}

}  // namespace retort
