// The page's figures of results: differences to KD and learning curves.
#include <algorithm>

#include "distill/report/figures.h"
#include "distill/report/page.h"
#include "distill/report/sections.h"
#include "distill/text/markup.h"
#include "distill/text/palette.h"
#include "engine/base/check.h"

namespace retort {

namespace {

// Its boxes show and hide lines of the figure it stands in.
std::string legend(const ResultPair& pair) {
  const std::vector<int> colours = row_colours(pair);
  std::string out = "<div class=\"legend\">";
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const std::string key = "<span class=\"key " + std::string(is_dashed(colours[r]) ? "dash " : "") +
                            colour_class(colours[r]) + "\" aria-hidden=\"true\"></span>" +
                            escaped_markup(pair.rows[r].label);
    out += text("<label><input type=\"checkbox\" checked value=\"row", r, "\">", key, "</label>");
  }
  return out + "</div>\n";
}

bool was_tested(const ResultRow& row) {
  return std::any_of(row.runs.begin(), row.runs.end(),
                     [](const ResultRun& run) { return !run.metrics.rows.empty(); });
}

// Of an epoch at least.
bool was_measured(const ResultRow& row) {
  return std::any_of(row.runs.begin(), row.runs.end(), [](const ResultRun& run) {
    const std::vector<EpochMetrics>& epochs = run.metrics.rows;
    return std::any_of(epochs.begin(), epochs.end(),
                       [](const EpochMetrics& epoch) { return epoch.first().is_measured(); });
  });
}

std::string panels(const ResultPair& pair) {
  const std::vector<int> colours = row_colours(pair);
  std::string out = "<div class=\"panels\">\n";
  for (const size_t r : clear_first(pair)) {
    if (!was_measured(pair.rows[r])) continue;
    out += "<figure><figcaption><b>" + swatch(colours[r]) + escaped_markup(pair.rows[r].label) +
           "</b></figcaption>" + row_curves_figure(pair, r) + "</figure>\n";
  }
  return out + "</div>\n";
}

}  // namespace

std::string curves_section(const Report& report) {
  const bool several = report.data.pairs.size() > 1;
  std::string figures;
  for (const ResultPair& pair : report.data.pairs) {
    if (std::none_of(pair.rows.begin(), pair.rows.end(), was_tested)) continue;
    if (several) figures += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    if (std::none_of(pair.rows.begin(), pair.rows.end(), was_measured)) {
      figures += "<figure class=\"big\">" + curves_figure(pair) + "</figure>\n" + not_measured_note(pair);
      continue;
    }
    figures += "<figure class=\"big\">" + legend(pair) + curves_figure(pair) +
               "<output class=\"reading\">Point at an epoch to read its numbers.</output></figure>\n";
    if (pair.rows.size() < 2) continue;
    const bool many = report.data.pairs.size() > 2;
    figures += many ? "<details><summary>Each method by itself</summary>" + panels(pair) + "</details>\n"
                    : panels(pair);
  }
  if (figures.empty()) return "";
  return section("curves.html", {{"score", escaped_markup(score_words(report.data))}, {"figures", figures}});
}

std::string differences_section(const Report& report) {
  AxisRange scale;
  for (const ResultPair& pair : report.data.pairs) add_differences(pair, scale);
  scale.settle(0.04);
  std::string figures;
  for (const ResultPair& pair : report.data.pairs) {
    const std::string figure = differences_figure(pair, scale);
    if (figure.empty()) continue;
    const bool several = report.data.pairs.size() > 1;
    figures +=
        "<figure class=\"big\">" +
        (several ? "<figcaption><b>" + escaped_markup(pair.name) + "</b></figcaption>" : std::string()) +
        "<div class=\"legend\"><span><span class=\"key disc\" aria-hidden=\"true\"></span> last epoch</span>"
        "<span><span class=\"key ring\" aria-hidden=\"true\"></span> " +
        best_words(pair) + "</span></div>" + figure + "</figure>\n";
  }
  return figures.empty() ? "" : section("differences.html", {{"figures", figures}});
}

}  // namespace retort
