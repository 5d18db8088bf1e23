// Figures, tables and pages of numbers that nobody hopes for: all alike, none, endless, beyond any axis.
#include "distill/report/figures.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "distill/report/headline.h"
#include "distill/report/latex.h"
#include "distill/report/report.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"
#include "tests/support/page.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::FakeRuns;
using testing::flaw_of;

using Values = std::vector<double>;

constexpr double inf = std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::max();
const double nan = std::nan("");

// One value an epoch.
const std::vector<Values>& strange_curves() {
  static const std::vector<Values> all = {{},
                                          {0},
                                          {-1},
                                          {100},
                                          {nan},
                                          {inf},
                                          {0, 0, 0},
                                          {-1, -1, -1},
                                          {100, 100},
                                          {250, 250},
                                          {-40, -40},
                                          {-40, 250},
                                          {1e-300, 1e-300},
                                          {1e12, 1e12},
                                          {-3e29, -3e29},
                                          {1e300, 1e300},
                                          {-most, most},
                                          {inf, -inf},
                                          {nan, nan, nan},
                                          {nan, -1, inf, 20, nan},
                                          {-1, 30, -1, 40},
                                          {50, 50.0000001}};
  return all;
}

// Two seeds of three methods, whose curves are `values` from the first epoch, from the second, and so on:
// where they differ, the rows and seeds do.
Results results_of(const Metrics& metrics, const Values& values) {
  ResultPair pair{
      .name = "a pair", .teacher = "resnet20", .student = "resnet8", .data = "cifar100:d", .data_hash = "d"};
  for (const char* method : {"ce", "kd", "pcd"}) {
    ResultRow row{.label = method, .method = method, .settings = FakeRuns::settings(method)};
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      ResultRun run{.seed = seed, .status = "finished"};
      run.summary.status = run.status;
      run.summary.metrics = run.metrics.metrics = metrics;
      run.summary.weights_hash = text(method, seed);
      for (size_t e = 0; e < values.size(); ++e) {
        const double value = values[(e + pair.rows.size() + seed) % values.size()];
        const MetricValues tested = valued(metrics, Values(metrics.size(), value));
        run.metrics.rows.push_back({.epoch = int(e) + 1, .train_loss = value, .tested = tested, .terms = {}});
        run.summary.last = EpochResult{int(e) + 1, tested};
        if (tested[0].is_measured()) run.summary.best = run.summary.last;
      }
      row.runs.push_back(std::move(run));
    }
    pair.rows.push_back(std::move(row));
  }
  pair.teacher_summary = pair.rows[0].runs[0].summary;
  return {.title = "strange", .pairs = {pair}, .notes = {}};
}

// No coordinate that is none.
void expect_drawn(const std::string& page) {
  for (const char* none : {"=\"inf\"", "=\"-inf\"", "=\"nan\"", "=\"-nan\"", "=\"-\"", "Minf", "M-inf", "M- ",
                           "Linf", "L-inf", "L- "}) {
    const size_t at = page.find(none);
    EXPECT_EQ(at, std::string::npos) << page.substr(at < 60 ? 0 : at - 60, 120);
  }
}

TEST(ReportFigures, OfStrangeNumbers) {
  const Metrics low = {{.name = "error",
                        .column = "error",
                        .word = "error",
                        .title = "Error",
                        .unit = "",
                        .higher_is_better = false}};
  for (const Metrics& metrics : {classification_metrics(), detection_metrics(), low}) {
    for (const Values& values : strange_curves()) {
      std::string trace = metrics[0].name + " of";
      for (const double value : values) trace += text(" ", value);
      SCOPED_TRACE(trace);
      const Report report{.data = results_of(metrics, values), .evaluations = {}};
      const ResultPair& pair = report.data.pairs[0];
      AxisRange scale;
      add_differences(pair, scale);
      scale.settle(0.04);
      expect_drawn(curves_figure(pair));
      expect_drawn(row_curves_figure(pair, 1));
      expect_drawn(differences_figure(pair, scale));
      const std::string html = report_html(report);
      EXPECT_EQ(flaw_of(html), "");
      expect_drawn(html);
      for (const std::string& table : {report_markdown(report), report_latex(report), report_csv(report)})
        EXPECT_EQ(table.find("nan"), std::string::npos) << table;
      report_json(report);
      if (const std::optional<Sketch> sketch = headline(report.data)) {
        expect_drawn(sketch_svg(*sketch, "strange"));
        sketch_image(*sketch);
      }
    }
  }
}

TEST(ReportFigures, WhatWasNotMeasuredIsNoNumberAndThePageSaysWhy) {
  const Report report{.data = results_of(detection_metrics(), {-1, -1}), .evaluations = {}};
  const std::string why = "AP, as COCO scores it, was not measured: the test images hold no box to find.";
  const std::string html = report_html(report), curves = curves_figure(report.data.pairs[0]);
  expect_contains(html, "<p class=\"about\">" + why);
  for (const char* drawn : {"<path", "<circle", "class=\"hover\""})
    EXPECT_EQ(curves.find(drawn), std::string::npos) << drawn;
  EXPECT_FALSE(headline(report.data));
  const std::string markdown = report_markdown(report), latex = report_latex(report);
  expect_contains(markdown, why);
  expect_contains(markdown, "| pcd | – | – | 2 |");
  expect_contains(markdown, "| teacher resnet20 | – | – |");
  expect_contains(latex, "    teacher & -- & & \\\\");
  expect_contains(latex, "    pcd & -- &  & 0 \\\\");
  for (const std::string* all : {&html, &markdown, &latex}) {
    for (const char* number : {"-1.00", "−1.00", "± 0.00"})
      EXPECT_EQ(all->find(number), std::string::npos) << number;
  }
}

// Where a seed's curve has holes, its line goes over them, and the mean has the epochs that all seeds have.
TEST(ReportFigures, EpochsThatWereNotMeasuredAreLeftOut) {
  Results results = results_of(detection_metrics(), {20, 20, 20});
  EpochMetrics& hole = results.pairs[0].rows[2].runs[0].metrics.rows[1];
  for (MetricValue& one : hole.tested) one.value = -1;
  const std::string figure = curves_figure(results.pairs[0]);
  expect_drawn(figure);
  expect_contains(figure, "Epoch 2: ce 20.00; kd 20.00<");
  expect_contains(figure, "Epoch 3: ce 20.00; kd 20.00; pcd 20.00<");
}

TEST(ReportFigures, AnAxisEndsWhereItsValuesMay) {
  const auto settled = [](std::initializer_list<double> values, double floor, double ceiling) {
    AxisRange range;
    for (const double value : values) range.add(value);
    range.settle(0.05, floor, ceiling);
    EXPECT_LT(range.low, range.high);
    EXPECT_FALSE(axis_ticks(range.low, range.high, 5).empty());
    return std::pair(range.low, range.high);
  };
  EXPECT_EQ(settled({0, 0}, 0, 100), std::pair(0.0, 0.5 + 1e-6));
  EXPECT_EQ(settled({100}, 0, 100).second, 100);
  EXPECT_EQ(settled({2, 99}, 0, 100), std::pair(0.0, 100.0));
  EXPECT_EQ(settled({-1, -1}, 0, 100).first, -1);  // what lies outside is shown all the same
  EXPECT_EQ(settled({}, 0, 100).first, 0);
  for (const double value : {1e12, -1e12, 1e29, -1e29, 1e300, inf, nan}) settled({value, value}, 0, 100);
  settled({-9e29, 9e29}, -inf, inf);
  settled({-1e29, -1e29 + 1e14}, -inf, inf);
}

TEST(ReportFigures, OfClassesThatSayNothing) {
  const std::vector<std::vector<ClassPoint>> all = {{},
                                                    {{"a", nan, nan}},
                                                    {{"a", 0, 0}, {"b", 0, 0}},
                                                    {{"a", 1, 100}, {"b", 1, 100}},
                                                    {{"a", nan, 3},
                                                     {"b", 0.5, inf},
                                                     {"c", 0.2, -inf},
                                                     {"d", 0.1, nan},
                                                     {"e", 1, -2},
                                                     {"f", 0.4, 1},
                                                     {"g", 2, 1}}};
  for (const std::vector<ClassPoint>& points : all) {
    ClassScales scales;
    scales.add(points);
    scales.settle();
    expect_drawn(class_gain_figure("classes", 2, points, scales));
  }
  for (const Values& logits :
       {Values{0, 0, 0, 0}, Values{nan, nan, nan, nan}, Values{1e30, -1e30, inf, nan}}) {
    ChosenImage image;
    image.teacher = image.student = logits;
    const PcdSteps steps = pcd_steps(method_settings("pcd"), logits, logits);
    expect_drawn(pcd_figure(steps, image, {"a", "b", "c", "d"}));
  }
  EXPECT_TRUE(std::isnan(rank_correlation({1, 2, nan, 4, 5}, {1, 2, 3, 4, 5}).rho));
}

// The page of detectors, of classes of which nothing is there, and of networks that find nothing.
TEST(ReportFigures, OfClassesOfBoxesThatAreNotThere) {
  for (const double fraction : {-1.0, 0.0, 1.0, nan}) {
    Report report{.data = results_of(detection_metrics(), {-1}), .evaluations = {}};
    PairBoxes boxes;
    boxes.class_names = {"cell", "<platelet>"};
    boxes.teacher = {fraction, fraction};
    boxes.students.assign(3, {{fraction, fraction}, {}});
    boxes.pushes.push_back({.row = 2, .seed = 1, .boxes = {}});
    report.detectors.pairs.push_back(boxes);
    const std::string html = report_html(report);
    EXPECT_EQ(flaw_of(html), "");
    expect_drawn(html);
    const size_t about = html.find("Boxes, class by class");
    EXPECT_EQ(html.find("was not measured", about) != std::string::npos, !(fraction >= 0)) << fraction;
    report_json(report);
  }
}

}  // namespace
}  // namespace retort
