#include "distill/text/metric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/expect_error.h"

namespace retort {
namespace {

TEST(Metric, SaysWhichWayIsBetter) {
  const Metric up = metric_named("top1"), down = metric_named("loss");
  EXPECT_TRUE(up.better(51, 50));
  EXPECT_FALSE(up.better(50, 51));
  EXPECT_TRUE(down.better(0.1, 0.2));
  EXPECT_FALSE(down.better(0.2, 0.1));
  for (const Metric& metric : {up, down}) {
    EXPECT_FALSE(metric.better(1, 1));
    EXPECT_FALSE(metric.better(std::nan(""), 1));
    EXPECT_FALSE(metric.better(1, std::nan("")));
  }
}

TEST(Metric, ShowsItsUnit) {
  const Metric top1 = metric_named("top1"), loss = metric_named("loss");
  EXPECT_EQ(top1.shown(76.543), "76.54 %");
  EXPECT_EQ(top1.number(76.543, 1), "76.5");
  EXPECT_EQ(loss.shown(0.98765), "0.9877");
  EXPECT_EQ(loss.number(0.98765, 1), "0.9877") << "decimals of percentages alone";
  EXPECT_EQ(top1.labelled("top-1 of the test"), "top-1 of the test, %");
  EXPECT_EQ(loss.labelled("loss"), "loss");
  EXPECT_EQ(top1.of_differences(), "points");
  EXPECT_EQ(loss.of_differences(), "test loss");
}

// COCO's -1 is no precision.
TEST(Metric, WhatWasNotMeasuredIsNoNumber) {
  const Metric ap = metric_named("AP"), top1 = metric_named("top1"), loss = metric_named("loss");
  for (const Metric& metric : {ap, top1, loss}) {
    EXPECT_FALSE(metric.is_measured(std::nan("")));
    EXPECT_EQ(metric.number(std::nan("")), "-");
    EXPECT_EQ(metric.shown(std::nan("")), "-");
    EXPECT_TRUE(metric.is_measured(0));
  }
  EXPECT_FALSE(ap.is_measured(-1));
  EXPECT_FALSE((MetricValue{ap, -1}.is_measured()));
  EXPECT_EQ(ap.shown(-1), "-");
  EXPECT_EQ(ap.shown(0), "0.00 %");
  EXPECT_EQ(loss.shown(-1), "-1.0000") << "a loss may be so";
  EXPECT_EQ(ap.not_measured(),
            "AP, as COCO scores it, was not measured: the test images hold no box to find.");
  EXPECT_EQ(top1.not_measured(), "Top-1 was not measured.");
}

// A file says which metric it holds by its name, or by its column.
TEST(Metric, NamesAndColumnsAreOfOneMetricEach) {
  std::set<std::string> names, columns;
  for (const Metrics& metrics : known_metrics()) {
    ASSERT_FALSE(metrics.empty());
    for (const Metric& metric : metrics) {
      EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
      EXPECT_TRUE(columns.insert(metric.column).second) << metric.column;
      EXPECT_TRUE(metric.training.empty() || metric.training.starts_with("train_")) << metric.training;
      EXPECT_FALSE(metric.word.empty() || metric.title.empty()) << metric.name;
      EXPECT_EQ(metric_named(metric.name).column, metric.column);
    }
  }
  const Metric other = metric_named("mIoU");
  EXPECT_EQ(other.column, "mIoU");
  EXPECT_EQ(other.word, "mIoU");
  EXPECT_EQ(other.unit, "");
}

TEST(Metric, ValuesByName) {
  const MetricValues values = valued(classification_metrics(), {70, 90, 1.5});
  EXPECT_EQ(first_of(values), 70);
  EXPECT_EQ(value_of(values, "loss"), 1.5);
  EXPECT_TRUE(std::isnan(value_of(values, "AP")));
  EXPECT_TRUE(std::isnan(first_of({})));
  const MetricValues columns = in_columns(values);
  EXPECT_EQ(columns[0].metric.column, "test_loss");
  EXPECT_EQ(columns[1].metric.column, "test_acc");
  testing::error_of(Fault::internal, [] { valued(detection_metrics(), {1}); });
}

// Markup and terminal escapes stood in reports as they were.
TEST(Metric, NamesThatFilesGiveAreWords) {
  const Metric own = metric_of_file("my_score-2.b", "mm/s", false);
  EXPECT_EQ(own.word, "my_score-2.b");
  EXPECT_EQ(own.unit, "mm/s");
  EXPECT_FALSE(own.higher_is_better);
  for (const std::string& name : {std::string(), std::string("m<script>"), std::string(41, 'a'),
                                  std::string("a b"), std::string("a\x1b")})
    testing::expect_fault(Fault::input, "a metric is called ", [&] { metric_of_file(name, "%", true); });
  for (const char* unit : {"<b>", "elevenbytes", "\xc2\x9b"})
    testing::expect_fault(Fault::input, "the unit of m is ", [&] { metric_of_file("m", unit, true); });
}

}  // namespace
}  // namespace retort
