#include "distill/run/curves_svg.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "distill/methods/registry.h"
#include "distill/text/palette.h"
#include "distill/text/svg.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;

size_t count(const std::string& in, const std::string& what) {
  size_t found = 0;
  for (size_t at = 0; (at = in.find(what, at)) != in.npos; ++at) ++found;
  return found;
}

// Every element is closed by its own name, and outside tags no '<' or '&' stands unescaped.
void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (size_t at = svg.find('<'); at != svg.npos; at = svg.find('<', at)) {
    const size_t end = svg.find('>', at);
    ASSERT_NE(end, svg.npos);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    EXPECT_EQ(count(tag, "\"") % 2, 0u) << tag;
    at = end + 1;
    if (tag.starts_with('/')) {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(tag.substr(1), open.back());
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
  for (size_t at = svg.find('&'); at != svg.npos; at = svg.find('&', at + 1)) {
    const std::string entity = svg.substr(at, svg.find(';', at) - at);
    EXPECT_TRUE(entity == "&amp" || entity == "&lt" || entity == "&gt" || entity == "&quot" ||
                entity == "&#39")
        << entity;
  }
  EXPECT_EQ(svg.find("nan"), svg.npos);
  EXPECT_EQ(svg.find("inf"), svg.npos);
}

MetricsTable table(int epochs, double shift = 0) {
  MetricsTable metrics;
  for (int epoch = 1; epoch <= epochs; ++epoch)
    metrics.rows.push_back({epoch,
                            0.1,
                            5.0 / epoch,
                            10.0 + epoch + shift,
                            valued(metrics.metrics, {9.0 + epoch, 30, 6.0 / epoch}),
                            1,
                            {}});
  return metrics;
}

TEST(CurvesSvg, OneRun) {
  const std::string svg = learning_curves("a run", {{"pcd", table(10)}});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<path class=\"line c"), 4u + 2u);  // two curves in two panels, two in the legend
  EXPECT_EQ(count(svg, ">training</text>"), 1u);
  EXPECT_EQ(count(svg, ">test</text>"), 1u);
  EXPECT_EQ(count(svg, "http"), 1u);  // only the name space: nothing is loaded from elsewhere
  expect_contains(svg, "prefers-color-scheme: dark");
}

TEST(CurvesSvg, OfADetector) {
  MetricsTable metrics{.metrics = detection_metrics(), .terms = {}, .rows = {}};
  for (int epoch = 1; epoch <= 3; ++epoch)
    metrics.rows.push_back(
        {.epoch = epoch, .train_loss = 1, .tested = valued(detection_metrics(), {20, 40, 10}), .terms = {}});
  const std::string svg = learning_curves("boxes", {{"", metrics}});
  expect_well_formed(svg);
  for (const char* word : {">training loss<", ">AP (%)<", ">AP<", ">AP50<"}) expect_contains(svg, word);
  EXPECT_EQ(svg.find("top-1"), std::string::npos);
  expect_contains(learning_curves("boxes", {{"a", metrics}, {"b", metrics}}), ">b AP50<");
}

TEST(CurvesSvg, WhatWasNotMeasuredIsNoPointAndTheFigureSaysWhy) {
  MetricsTable metrics{.metrics = detection_metrics(), .terms = {}, .rows = {}};
  const auto add = [&](double ap) {
    metrics.rows.push_back({.epoch = int(metrics.rows.size()) + 1,
                            .train_loss = 2,
                            .tested = valued(detection_metrics(), {ap, ap, ap}),
                            .terms = {}});
  };
  const std::string why = "was not measured: the test images hold no box to find.";
  for (int epoch = 1; epoch <= 3; ++epoch) add(-1);
  const std::string none = learning_curves("boxes", {{"", metrics}});
  expect_well_formed(none);
  expect_contains(none, why);
  EXPECT_EQ(count(none, ">-1"), 0u);
  add(20);
  const std::string one = learning_curves("boxes", {{"", metrics}});
  expect_well_formed(one);
  EXPECT_EQ(one.find(why), std::string::npos);
  EXPECT_EQ(count(one, "<circle"), 2u);  // AP and AP50 of the last epoch
}

TEST(CurvesSvg, AccuraciesThatAreAllAlikeStayWithinTheirAxis) {
  for (const double all : {0.0, 100.0}) {
    MetricsTable metrics = table(3);
    for (EpochMetrics& row : metrics.rows) row.tested[0].value = row.trained = all;
    const std::string svg = learning_curves("alike", {{"x", metrics}});
    expect_well_formed(svg);
    for (const char* beyond : {">-0.", ">100.2<", ">100.5<"})
      EXPECT_EQ(count(svg, beyond), 0u) << all << beyond;
  }
}

TEST(CurvesSvg, SeveralRuns) {
  std::vector<RunCurves> runs;
  for (int i = 0; i < 20; ++i) runs.push_back({"run " + std::to_string(i), table(5, i)});
  const std::string svg = learning_curves("runs", runs);
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<path class=\"line c"), 2 * 20u + 20u);
  EXPECT_EQ(count(svg, "<path class=\"line dashed c"), 2 * 20u);
  EXPECT_EQ(count(svg, ">run 7</text>"), 1u);
  // Beyond the palette of 10, each run still has a colour of its own.
  EXPECT_EQ(count(svg, "rgb("), 10u);
}

// A distilled student's loss may be many times its cross-entropy: it would leave no height to the test
// losses.
TEST(CurvesSvg, OfALossOfSeveralTermsTheCrossEntropyIsShown) {
  MetricsTable metrics = table(3);
  metrics.terms = {"ce", "pcd"};
  for (EpochMetrics& row : metrics.rows) row.train_loss = 900, row.terms = {2.5, 897.5};
  const std::string svg = learning_curves("pcd", {{"pcd", metrics, "pcd"}, {"kd", table(3), "kd"}});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, ">900</text>") + count(svg, ">800</text>") + count(svg, ">1000</text>"), 0u);
  expect_contains(svg, "the cross-entropy with the labels");
  EXPECT_EQ(count(learning_curves("kd", {{"kd", table(3), "kd"}}), "cross-entropy"), 0u);
  // One method, one colour, whatever stands beside it.
  expect_contains(svg, "class=\"line c2\"");
  expect_contains(svg, "class=\"line c1\"");
}

MetricsTable with_terms(std::vector<std::string> names, std::vector<double> values) {
  MetricsTable metrics = table(3);
  metrics.terms = std::move(names);
  for (EpochMetrics& row : metrics.rows) row.terms = values;
  return metrics;
}

// The term has its weight in it, the test loss has none: they stand on one axis.
TEST(CurvesSvg, TheCrossEntropyIsShownWithoutItsWeight) {
  const MetricsTable weighted = with_terms({"ce", "kd"}, {0.625, 7}),
                     plain = with_terms({"ce", "kd"}, {2.5, 7});
  for (const size_t runs : {1u, 2u}) {
    std::string svg = learning_curves(
        "kd", std::vector<RunCurves>(runs, {.label = "kd", .metrics = weighted, .labels_weight = 0.25}));
    const std::string of_plain =
        learning_curves("kd", std::vector<RunCurves>(runs, {.label = "kd", .metrics = plain}));
    const std::string note = "the cross-entropy with the labels, unweighted.";
    expect_contains(svg, note);
    expect_contains(of_plain, "the cross-entropy with the labels.");
    svg.replace(svg.find(note), note.size(), "the cross-entropy with the labels.");
    EXPECT_EQ(svg, of_plain);
  }
  // Alone in the loss too.
  const MetricsTable alone = with_terms({"ce"}, {0.625});
  EXPECT_EQ(count(learning_curves("ce", {{"", alone}}), "unweighted"), 0u);
  expect_contains(learning_curves("ce", {{.label = "", .metrics = alone, .labels_weight = 0.25}}),
                  "unweighted");
}

// What is left of it is of another scale than the test loss.
TEST(CurvesSvg, ALossWithoutTheCrossEntropyIsLeftOut) {
  MetricsTable metrics = with_terms({"kd"}, {900});
  for (EpochMetrics& row : metrics.rows) row.train_loss = 900;
  const RunCurves run{.label = "kd", .metrics = metrics, .labels_weight = 0};
  const std::string svg = learning_curves("kd", {run});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, ">900</text>") + count(svg, ">800</text>") + count(svg, ">1000</text>"), 0u);
  EXPECT_EQ(count(svg, "<path class=\"line c"),
            3u + 2u);  // the test loss, both accuracies; two in the legend
  expect_contains(svg, "is left out.");
  const RunCurves other{.label = "pcd", .metrics = with_terms({"ce", "pcd"}, {2.5, 7})};
  const std::string both = learning_curves("both", {run, other});
  expect_well_formed(both);
  expect_contains(both, "the cross-entropy with the labels, where there is one.");
}

TEST(CurvesSvg, TheWeightIsThatOfOneViewsCrossEntropy) {
  const auto weight = [](const char* method, std::vector<std::pair<const char*, const char*>> keys = {}) {
    MethodSettings settings = method_settings(method);
    for (const auto& [key, value] : keys) settings.set(key, value);
    return labels_weight_of(settings);
  };
  EXPECT_EQ(weight("ce"), 1);
  EXPECT_EQ(weight("ce", {{"ce_weight", "0.5"}}), 0.5);
  EXPECT_EQ(weight("pcd"), 1);
  EXPECT_EQ(weight("kd"), 0.1);
  EXPECT_EQ(weight("ctkd"), 0.1);
  EXPECT_EQ(weight("mlkd"), 0.1);
  EXPECT_EQ(weight("mlkd", {{"views", "2"}}), 0.2);  // the term is their sum
  EXPECT_EQ(weight("crld"), 2);
  EXPECT_EQ(weight("kd", {{"ce_weight", "0"}}), 0);
  EXPECT_EQ(weight("simkd"), 0);
  EXPECT_EQ(weight("tfkd-reg"), 0.9);  // its alpha is the other term's share
  EXPECT_EQ(weight("tfkd-reg", {{"alpha", "1"}}), 0);
}

TEST(CurvesSvg, MethodsKeepTheirColour) {
  EXPECT_EQ(method_colours({"ce", "kd", "pcd"}), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(method_colours({"pcd", "kd"}), (std::vector<int>{2, 1}));
  EXPECT_EQ(method_colours({"dkd", "vid", "dkd"}), (std::vector<int>{3, 4, 5}));
  EXPECT_EQ(method_colours({"vid", "dkd"}), (std::vector<int>{4, 3}));
  std::vector<int> many = method_colours(std::vector<std::string>(25, "kd"));
  std::sort(many.begin(), many.end());
  EXPECT_EQ(std::unique(many.begin(), many.end()), many.end());
}

TEST(CurvesSvg, HolesAndSinglePoints) {
  MetricsTable metrics = table(5);
  metrics.rows[1].tested[0].value = std::nan("");
  metrics.rows[3].tested[0].value = INFINITY;
  metrics.rows[2].tested[2].value = 1e300;
  const std::string svg = learning_curves("holes", {{"x", metrics}});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<circle"), 3u);  // epochs 1, 3 and 5 stand alone
  expect_well_formed(learning_curves("one epoch", {{"x", table(1)}}));
  expect_well_formed(learning_curves("no epoch", {{"x", table(0)}}));
  expect_well_formed(learning_curves("no run", {}));
}

TEST(CurvesSvg, OneEpochOfADivergingLoss) {
  MetricsTable metrics = table(1);
  for (const double loss : {1.5e16, 1.474e21, 1e29, -1e29}) {
    metrics.rows[0].tested[2].value = metrics.rows[0].train_loss = loss;
    expect_well_formed(learning_curves("diverging", {{"x", metrics}}));
  }
}

TEST(CurvesSvg, NamesAreEscaped) {
  const std::string svg = learning_curves("<b> & \"q\"\n", {{"a<", table(3)}, {"b&\x01", table(3)}});
  expect_well_formed(svg);
  expect_contains(svg, "<title>&lt;b&gt; &amp; &quot;q&quot; </title>");
}

TEST(CurvesSvg, Ticks) {
  using Ticks = std::vector<double>;
  EXPECT_EQ(axis_ticks(0, 100, 6), (Ticks{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(axis_ticks(1, 3, 8, 1), (Ticks{1, 2, 3}));
  EXPECT_EQ(axis_ticks(0.5, 1.5, 8, 1), (Ticks{1}));
  EXPECT_EQ(axis_ticks(1, 240, 8, 1), (Ticks{50, 100, 150, 200}));
  EXPECT_EQ(axis_ticks(-3, 3, 6), (Ticks{-3, -2, -1, 0, 1, 2, 3}));
  error_of(Fault::internal, [] { axis_ticks(1, 1, 5); });
  for (double span = 1e-6; span < 1e9; span *= 1.37) {
    const Ticks ticks = axis_ticks(0.3 * span, 1.3 * span, 6);
    EXPECT_GE(ticks.size(), 2u) << span;
    EXPECT_LE(ticks.size(), 7u) << span;
    EXPECT_GE(ticks.front(), 0.3 * span * (1 - 1e-5));
    EXPECT_LE(ticks.back(), 1.3 * span * (1 + 1e-5));
  }
}

TEST(CurvesSvg, File) {
  testing::TempFolder folder;
  write_learning_curves(folder / "curves.svg", "t", {{"x", table(3)}});
  EXPECT_EQ(read_text_file(folder / "curves.svg"), learning_curves("t", {{"x", table(3)}}));
  error_of(Fault::write, [] { write_learning_curves("/dev/full", "t", {}); });
}

}  // namespace
}  // namespace retort
