#include "distill/run/metrics_csv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "engine/base/atomic_file.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;
using testing::TempFolder;

EpochMetrics row(int epoch) {
  return {epoch,           0.05, 1.0 / 3.0, 12.5, valued(classification_metrics(), {10, 30, 4.25}), 1.23456,
          {0.1, 2.0 / 7.0}};
}

const std::vector<std::string> terms = {"ce", "kd"};
const Metrics& classes = classification_metrics();
const std::string columns = "epoch,lr,train_loss,train_acc,test_loss,test_acc,test_acc_top5,seconds";

TEST(MetricsCsv, Content) {
  TempFolder folder;
  MetricsCsv csv(folder / "m.csv", classes, terms, 1);
  csv.append(row(1));
  EXPECT_EQ(read_text_file(folder / "m.csv"),
            columns + ",ce,kd\n1,0.05,0.3333333333333333,12.5,4.25,10,30,1.235,0.1,0.2857142857142857\n");
  const MetricsTable table = read_metrics(folder / "m.csv");
  EXPECT_EQ(table.terms, terms);
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0].train_loss, 1.0 / 3.0);
  EXPECT_EQ(table.rows[0].terms, row(1).terms);
}

TEST(MetricsCsv, NumbersReadBackExactly) {
  for (double value : {0.1f * 3.0, 1e-300, 123456789.123456789, -0.0, 5e-324, 1.7976931348623157e308})
    EXPECT_EQ(std::strtod(exact_decimal(value).c_str(), nullptr), value);
  EXPECT_EQ(exact_decimal(std::nan("")), "nan");
  EXPECT_EQ(exact_decimal(-std::nan("")), "nan");
  TempFolder folder;
  MetricsCsv csv(folder / "m.csv", classes, {}, 1);
  EpochMetrics unusual = row(1);
  unusual.terms = {};
  unusual.tested[0].value = std::nan("");
  unusual.train_loss = -std::numeric_limits<double>::infinity();
  csv.append(unusual);
  const MetricsTable table = read_metrics(folder / "m.csv");
  EXPECT_TRUE(std::isnan(table.rows[0].first().value));
  EXPECT_EQ(table.rows[0].train_loss, unusual.train_loss);
}

TEST(MetricsCsv, ResumeDropsLaterRows) {
  TempFolder folder;
  {
    MetricsCsv csv(folder / "m.csv", classes, terms, 1);
    for (int epoch = 1; epoch <= 4; ++epoch) csv.append(row(epoch));
  }
  const std::string before = read_text_file(folder / "m.csv");
  MetricsCsv csv(folder / "m.csv", classes, terms, 3);
  EXPECT_EQ(csv.table().rows.size(), 2u);
  csv.append(row(3));
  csv.append(row(4));
  EXPECT_EQ(csv.table().rows.size(), 4u);
  EXPECT_EQ(read_text_file(folder / "m.csv"), before);
  error_of(Fault::internal, [&] { csv.append(row(4)); });
  error_of(Fault::internal, [&] { csv.append({.epoch = 5, .tested = row(5).tested, .terms = {1}}); });
}

// Cut at any byte, the file reads as its whole lines, and a resumed run goes on from there.
TEST(MetricsCsv, TornAtAnyByte) {
  TempFolder folder;
  {
    MetricsCsv csv(folder / "m.csv", classes, terms, 1);
    for (int epoch = 1; epoch <= 3; ++epoch) csv.append(row(epoch));
  }
  const std::string whole = read_text_file(folder / "m.csv");
  for (size_t size = 0; size <= whole.size(); ++size) {
    const std::string torn = whole.substr(0, size);
    std::ofstream(folder / "m.csv") << torn;
    const auto lines = std::count(torn.begin(), torn.end(), '\n');
    EXPECT_EQ(read_metrics(folder / "m.csv").rows.size(), size_t(std::max<long>(0, lines - 1)));
    if (size % 41 != 0) continue;
    MetricsCsv csv(folder / "m.csv", classes, terms, 3);
    for (int epoch = int(csv.table().rows.size()) + 1; epoch <= 3; ++epoch) csv.append(row(epoch));
    EXPECT_EQ(read_text_file(folder / "m.csv"), whole);
  }
}

TEST(MetricsCsv, OtherTermsAreRefused) {
  TempFolder folder;
  { MetricsCsv(folder / "m.csv", classes, terms, 1).append(row(1)); }
  expect_contains(error_of(Fault::input, [&] { MetricsCsv(folder / "m.csv", classes, {"ce"}, 2); }),
                  "expected " + columns);
  MetricsCsv(folder / "m.csv", classes, {"ce"}, 1);  // nothing of the old rows is left
  error_of(Fault::internal, [&] { MetricsCsv(folder / "n.csv", classes, {"a,b"}, 1); });
}

TEST(MetricsCsv, ColumnsAreTheMetrics) {
  TempFolder folder;
  {
    MetricsCsv csv(folder / "boxes.csv", detection_metrics(), {"cls"}, 1);
    csv.append({.epoch = 1, .tested = valued(detection_metrics(), {20, 40, -1}), .terms = {0.5}});
  }
  EXPECT_EQ(read_text_file(folder / "boxes.csv"),
            "epoch,lr,train_loss,AP,AP50,AP75,seconds,cls\n1,0,0,20,40,-1,0,0.5\n");
  EXPECT_EQ(value_of(read_metrics(folder / "boxes.csv").rows[0].tested, "AP50"), 40);
  // No known ones: the file's columns are their names.
  const std::string others = "epoch,lr,train_loss,train_X,X,Y,seconds,ce\n3,0.1,2,6,5,-4,1,2\n";
  write_file(folder / "others.csv", others);
  const MetricsTable table = read_metrics(folder / "others.csv");
  EXPECT_EQ(table.metrics[1].name, "Y");
  EXPECT_EQ(table.rows[0].trained, 6);
  EXPECT_EQ(table.rows[0].first().value, 5);
  EXPECT_EQ(value_of(table.rows[0].tested, "Y"), -4);
  EXPECT_EQ(metrics_text(table), others);
  // A run of other metrics does not go on with the file.
  expect_contains(error_of(Fault::input, [&] { MetricsCsv(folder / "boxes.csv", classes, {"cls"}, 2); }),
                  "expected " + columns);
}

TEST(MetricsCsv, BrokenFiles) {
  TempFolder folder;
  const auto refused = [&](const std::string& content) {
    write_file(folder / "m.csv", content);
    const std::string message = error_of(Fault::input, [&] { read_metrics(folder / "m.csv"); });
    expect_contains(message, (folder / "m.csv").string() + ": line ");
    return message;
  };
  expect_contains(refused("a,b\n"), "line 1: expected the columns epoch,lr");
  refused(columns + "x\n");
  // A column is missing, doubled, without a name, or there is none.
  for (const char* damaged : {"train_acc,test_loss,test_acc,seconds", "AP,AP50,seconds", "X,X,seconds",
                              "X,,seconds", "seconds", "train_X,seconds", "X,Y"})
    refused(std::string("epoch,lr,train_loss,") + damaged + "\n");
  expect_contains(refused(columns + "\n1,2,3\n"), "line 2: 3 columns, expected 8");
  expect_contains(refused(columns + "\n1,2,3,4,x,6,7,8\n"), "line 2, column 5: expected a number");
  expect_contains(refused(columns + "\n1,2,3,4,5,6,7,8 \n"), "column 8");
  expect_contains(refused(columns + "\n1.5,2,3,4,5,6,7,8\n"), "column 1");
  expect_contains(refused(columns + "\n99999999999,2,3,4,5,6,7,8\n"), "column 1");
  expect_contains(refused(columns + "\n2,2,3,4,5,6,7,8\n2,2,3,4,5,6,7,8\n"), "epoch 2 after epoch 2");
  error_of(Fault::input, [&] { read_metrics(folder / "absent.csv"); });
  error_of(Fault::write, [&] { MetricsCsv(folder / "no" / "m.csv", classes, terms, 1); });
  write_file(folder / "m.csv", columns + "\r\n1,2,3,4,5,6,7,8\r\n");
  EXPECT_EQ(read_metrics(folder / "m.csv").rows.size(), 1u);
}

}  // namespace
}  // namespace retort
