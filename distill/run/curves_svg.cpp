#include "distill/run/curves_svg.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "distill/text/palette.h"
#include "distill/text/svg_plot.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {
namespace {

// Of one run: as those of KD and PCD, which differ most.
constexpr int colour_of_test = 1, colour_of_training = 2;

template <class Number>  // of a row
PlotSeries series_of(const MetricsTable& metrics, const Number& number) {
  PlotSeries series;
  for (const EpochMetrics& row : metrics.rows) series.points.emplace_back(row.epoch, number(row));
  return series;
}

PlotSeries series_of(const MetricsTable& metrics, const Metric& metric) {
  return series_of(metrics, [&](const EpochMetrics& row) {
    const double value = value_of(row.tested, metric.name);
    return metric.is_measured(value) ? value : std::numeric_limits<double>::quiet_NaN();
  });
}

// Of a row's terms the cross-entropy with the labels; their number, if it is not named.
size_t term_of_labels(const MetricsTable& metrics) {
  return size_t(std::find(metrics.terms.begin(), metrics.terms.end(), "ce") - metrics.terms.begin());
}

bool is_drawn(const RunCurves& run) {
  return run.labels_weight > 0;
}

// Whether what is shown of the loss of training is not the loss itself.
bool shows_a_part(const RunCurves& run) {
  const size_t terms = run.metrics.terms.size();
  return is_drawn(run) && term_of_labels(run.metrics) < terms && (terms > 1 || run.labels_weight != 1);
}

PlotSeries training_loss_of(const RunCurves& run) {
  const size_t term = term_of_labels(run.metrics);
  PlotSeries series;
  if (!is_drawn(run)) return series;
  if (term == run.metrics.terms.size())
    return series_of(run.metrics, [](const EpochMetrics& row) { return row.train_loss; });
  for (const EpochMetrics& row : run.metrics.rows)
    if (term < row.terms.size()) series.points.emplace_back(row.epoch, row.terms[term] / run.labels_weight);
  return series;
}

// What is shown of the losses of training; empty where they are.
std::string training_loss_note(const std::vector<RunCurves>& runs) {
  const auto any = [&](const auto& holds) { return std::any_of(runs.begin(), runs.end(), holds); };
  const bool left_out = !std::all_of(runs.begin(), runs.end(), is_drawn);
  if (!any(shows_a_part))
    return left_out ? "A loss of training without the labels' cross-entropy is left out." : "";
  const bool weighted = any([](const RunCurves& run) { return is_drawn(run) && run.labels_weight != 1; });
  return text("Of the loss of training, the cross-entropy with the labels", weighted ? ", unweighted" : "",
              left_out ? ", where there is one" : "", ".");
}

// Though there were tests.
bool nothing_measured(const std::vector<RunCurves>& runs) {
  bool tested = false;
  for (const RunCurves& run : runs) {
    for (const EpochMetrics& row : run.metrics.rows) {
      tested = true;
      if (row.first().is_measured()) return false;
    }
  }
  return tested;
}

std::vector<int> colours_of(const std::vector<RunCurves>& runs) {
  std::vector<std::string> methods;
  for (const RunCurves& run : runs) methods.push_back(run.method);
  return method_colours(methods);
}

}  // namespace

double labels_weight_of(const MethodSettings& method) {
  if (method.method().name == "tfkd-reg") return 1 - method.number("alpha");  // shares of 1
  if (!method.has("ce_weight")) return 1;
  return method.number("ce_weight") * views_read(method);  // summed over the views
}

std::string learning_curves(const std::string& title, const std::vector<RunCurves>& runs) {
  const bool several = runs.size() > 1;
  const std::vector<int> colours = colours_of(runs);
  const auto add_both = [&](PlotPanel& panel, size_t run, PlotSeries training, PlotSeries testing) {
    training.dashed = several;
    testing.color = several ? colours[run] : colour_of_test;
    training.color = several ? colours[run] : colour_of_training;
    training.label = several ? "" : "training";
    testing.label = several ? runs[run].label : "test";
    panel.series.push_back(std::move(training));
    panel.series.push_back(std::move(testing));
  };
  // With its name, where no test stands beside training.
  const auto add = [&](PlotPanel& panel, size_t run, PlotSeries series, const std::string& word,
                       bool dashed = false) {
    series.color = colours[run];
    series.dashed = dashed;
    series.label = several ? runs[run].label + " " + word : word;
    panel.series.push_back(std::move(series));
  };
  const Metrics metrics = runs.empty() ? classification_metrics() : runs[0].metrics.metrics;
  const Metric& first = metrics[0];
  const auto found = [&](auto from, const auto& wanted) {
    const auto at = std::find_if(from, metrics.end(), wanted);
    return at == metrics.end() ? nullptr : &*at;
  };
  const Metric* const test_loss = found(metrics.begin(), [](const Metric& m) { return m.is_loss(); });
  const Metric* const second =
      found(metrics.begin() + 1, [&](const Metric& m) { return m.unit == first.unit && !m.is_loss(); });
  PlotPanel loss{
      .title = test_loss ? "loss" : "training loss", .x_label = "epoch", .series = {}, .y_floor = 0};
  PlotPanel score{.title = first.word + (first.unit.empty() ? "" : " (" + first.unit + ")"),
                  .x_label = "epoch",
                  .series = {}};
  if (first.in_percent()) score.y_floor = 0, score.y_ceiling = 100;
  const bool trained = !first.training.empty() && !first.is_loss();
  for (size_t run = 0; run < runs.size(); ++run) {
    const MetricsTable& table = runs[run].metrics;
    if (test_loss) {
      add_both(loss, run, training_loss_of(runs[run]), series_of(table, *test_loss));
    } else {
      add(loss, run, series_of(table, [](const EpochMetrics& row) { return row.train_loss; }), "training");
    }
    if (trained) {
      add_both(score, run, series_of(table, [](const EpochMetrics& row) { return row.trained; }),
               series_of(table, first));
    } else {
      add(score, run, series_of(table, first), first.word);
      if (second) add(score, run, series_of(table, *second), second->word, /*dashed=*/true);
    }
  }
  std::string note = several && (test_loss || trained) ? "Solid: test. Dashed: training." : "";
  const auto add_note = [&](const std::string& sentence) {
    if (!sentence.empty()) note += text(note.empty() ? "" : " ", sentence);
  };
  if (test_loss) add_note(training_loss_note(runs));
  if (nothing_measured(runs)) add_note(first.not_measured());
  return svg_plot(title, {loss, score}, note);
}

void write_learning_curves(const std::filesystem::path& file, const std::string& title,
                           const std::vector<RunCurves>& runs) {
  write_file(file, learning_curves(title, runs));
}

}  // namespace retort
