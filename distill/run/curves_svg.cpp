#include "distill/run/curves_svg.h"

#include "distill/text/svg_plot.h"
#include "engine/base/atomic_file.h"

namespace retort {
namespace {

PlotSeries series_of(const MetricsTable& metrics, double EpochMetrics::*column) {
  PlotSeries series;
  for (const EpochMetrics& row : metrics.rows) series.points.emplace_back(row.epoch, row.*column);
  return series;
}

// Of detectors: the loss of training, and AP with AP50 above it.
std::string curves_of_boxes(const std::string& title, const std::vector<RunCurves>& runs) {
  PlotPanel loss{.title = "training loss", .x_label = "epoch", .series = {}, .y_floor = 0};
  PlotPanel precision{
      .title = "average precision (%)", .x_label = "epoch", .series = {}, .y_floor = 0, .y_ceiling = 100};
  const bool several = runs.size() > 1;
  for (size_t run = 0; run < runs.size(); ++run) {
    const auto add = [&](PlotPanel& panel, double EpochMetrics::*column, const char* label, bool dashed) {
      PlotSeries series = series_of(runs[run].metrics, column);
      series.color = int(run);
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
  const auto add = [&](PlotPanel& panel, size_t run, double EpochMetrics::*train,
                       double EpochMetrics::*test) {
    PlotSeries training = series_of(runs[run].metrics, train), testing = series_of(runs[run].metrics, test);
    training.dashed = several;
    training.color = several ? int(run) : 1;
    testing.color = int(run);
    training.label = several ? "" : "training";
    testing.label = several ? runs[run].label : "test";
    panel.series.push_back(std::move(training));
    panel.series.push_back(std::move(testing));
  };
  for (size_t run = 0; run < runs.size(); ++run) {
    add(loss, run, &EpochMetrics::train_loss, &EpochMetrics::test_loss);
    add(accuracy, run, &EpochMetrics::train_acc, &EpochMetrics::test_acc);
  }
  // The loss of a distilled student has terms that the test loss has not.
  const std::string note = several ? "Solid: test. Dashed: training, with all terms of its loss." : "";
  return svg_plot(title, {loss, accuracy}, note);
}

void write_learning_curves(const std::filesystem::path& file, const std::string& title,
                           const std::vector<RunCurves>& runs) {
  write_file(file, learning_curves(title, runs));
}

}  // namespace retort
