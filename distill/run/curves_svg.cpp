#include "distill/run/curves_svg.h"

#include <algorithm>
#include <utility>

#include "distill/text/palette.h"
#include "distill/text/svg_plot.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {
namespace {

// Of one run: as those of KD and PCD, which differ most.
constexpr int colour_of_test = 1, colour_of_training = 2;

PlotSeries series_of(const MetricsTable& metrics, double EpochMetrics::*column) {
  PlotSeries series;
  for (const EpochMetrics& row : metrics.rows) series.points.emplace_back(row.epoch, row.*column);
  return series;
}

bool has_further_terms(const MetricsTable& metrics) {
  return metrics.terms.size() > 1 &&
         std::find(metrics.terms.begin(), metrics.terms.end(), "ce") != metrics.terms.end();
}

PlotSeries training_loss_of(const MetricsTable& metrics) {
  if (!has_further_terms(metrics)) return series_of(metrics, &EpochMetrics::train_loss);
  const auto term = std::find(metrics.terms.begin(), metrics.terms.end(), "ce") - metrics.terms.begin();
  PlotSeries series;
  for (const EpochMetrics& row : metrics.rows) {
    if (size_t(term) < row.terms.size()) series.points.emplace_back(row.epoch, row.terms[size_t(term)]);
  }
  return series;
}

std::vector<int> colours_of(const std::vector<RunCurves>& runs) {
  std::vector<std::string> methods;
  for (const RunCurves& run : runs) methods.push_back(run.method);
  return method_colours(methods);
}

// Of detectors: the loss of training, and AP with AP50 above it.
std::string curves_of_boxes(const std::string& title, const std::vector<RunCurves>& runs) {
  PlotPanel loss{.title = "training loss", .x_label = "epoch", .series = {}, .y_floor = 0};
  PlotPanel precision{
      .title = "average precision (%)", .x_label = "epoch", .series = {}, .y_floor = 0, .y_ceiling = 100};
  const bool several = runs.size() > 1;
  const std::vector<int> colours = colours_of(runs);
  for (size_t run = 0; run < runs.size(); ++run) {
    const auto add = [&](PlotPanel& panel, double EpochMetrics::*column, const char* label, bool dashed) {
      PlotSeries series = series_of(runs[run].metrics, column);
      series.color = colours[run];
      series.dashed = dashed;
      series.label = several ? runs[run].label + " " + label : label;
      panel.series.push_back(std::move(series));
    };
    add(loss, &EpochMetrics::train_loss, "training", false);
    add(precision, &EpochMetrics::test_acc, "AP", false);
    add(precision, &EpochMetrics::test_acc_top5, "AP50", true);
  }
  return svg_plot(title, {loss, precision}, "");
}

}  // namespace

std::string learning_curves(const std::string& title, const std::vector<RunCurves>& runs) {
  PlotPanel loss{.title = "loss", .x_label = "epoch", .series = {}, .y_floor = 0};
  PlotPanel accuracy{.title = "top-1 (%)", .x_label = "epoch", .series = {}, .y_floor = 0, .y_ceiling = 100};
  const bool several = runs.size() > 1;
  const bool boxes = !runs.empty() && !runs[0].metrics.rows.empty() && runs[0].metrics.rows[0].boxes;
  if (boxes) return curves_of_boxes(title, runs);
  const std::vector<int> colours = colours_of(runs);
  bool terms = false;
  const auto add = [&](PlotPanel& panel, size_t run, PlotSeries training, PlotSeries testing) {
    training.dashed = several;
    testing.color = several ? colours[run] : colour_of_test;
    training.color = several ? colours[run] : colour_of_training;
    training.label = several ? "" : "training";
    testing.label = several ? runs[run].label : "test";
    panel.series.push_back(std::move(training));
    panel.series.push_back(std::move(testing));
  };
  for (size_t run = 0; run < runs.size(); ++run) {
    const MetricsTable& metrics = runs[run].metrics;
    add(loss, run, training_loss_of(metrics), series_of(metrics, &EpochMetrics::test_loss));
    add(accuracy, run, series_of(metrics, &EpochMetrics::train_acc),
        series_of(metrics, &EpochMetrics::test_acc));
    terms = terms || has_further_terms(metrics);
  }
  std::string note = several ? "Solid: test. Dashed: training." : "";
  if (terms)
    note += text(note.empty() ? "" : " ", "Of the loss of training, the cross-entropy with the labels.");
  return svg_plot(title, {loss, accuracy}, note);
}

void write_learning_curves(const std::filesystem::path& file, const std::string& title,
                           const std::vector<RunCurves>& runs) {
  write_file(file, learning_curves(title, runs));
}

}  // namespace retort
