// What a report's sentences say of classes and of best epochs: not more than its runs do.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "distill/report/class_findings.h"
#include "distill/report/page.h"
#include "distill/study/collect.h"
#include "engine/base/check.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::FakeRuns;

constexpr int classes = 40;

// kd and pcd, of so many seeds, as if their checkpoints had been read: the surer the teacher is of a class,
// the more pcd gains on it. unread: checkpoints of kd that could not be read.
Report evaluated(size_t kd_seeds, size_t pcd_seeds, size_t unread = 0) {
  FakeRuns runs;
  for (size_t seed = 1; seed <= pcd_seeds; ++seed) {
    const double last = 60 + double(seed * seed);
    runs.add(text("pcd/seed-", seed), FakeRuns::settings("pcd"), "finished", last + 2, last + 2, seed);
    if (seed <= kd_seeds)
      runs.add(text("kd/seed-", seed), FakeRuns::settings("kd"), "finished", last, last, seed);
  }
  Report report{.data = collect_results({runs.folder()}), .evaluations = {}, .evaluated = true};
  PairEvaluation pair;
  for (int c = 0; c < classes; ++c) {
    pair.class_names.push_back(text("class ", c));
    pair.confidence.push_back((c + 1.0) / (classes + 1));
  }
  for (const ResultRow& row : report.data.pairs.at(0).rows) {
    pair.students.emplace_back(row.runs.size());
    pair.judged.emplace_back(row.runs.size());
    for (size_t s = 0; s < row.runs.size(); ++s) {
      if (!row.runs[s].counts() || (row.method == "kd" && s < unread)) continue;
      ClassAccuracy& own = pair.students.back()[s];
      own.images.assign(classes, 100);
      for (int c = 0; c < classes; ++c) own.correct.push_back(row.method == "pcd" ? 20 + c : 20);
    }
  }
  report.evaluations.pairs.push_back(std::move(pair));
  return report;
}

void expect_said(const Report& report, size_t seeds) {
  const std::vector<ClassFinding> findings = class_findings(report);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].seeds, seeds);
  const std::string sure = "pcd gains more on classes that the teacher is sure of.";
  const std::string one = "Cannot tell: one seed is one network, not the method.";
  for (const std::string& all : {report_markdown(report), classes_section(report)}) {
    expect_contains(all, seeds > 1 ? sure : one);
    EXPECT_EQ(all.find(seeds > 1 ? one : sure), std::string::npos) << all;
  }
}

TEST(ReportClasses, OfOnePairedSeedNothingIsSaidOfTheMethod) {
  expect_said(evaluated(3, 3), 3);
  expect_said(evaluated(1, 3), 1);     // kd has one
  expect_said(evaluated(3, 3, 2), 1);  // of kd one was read
  const nlohmann::json json = nlohmann::json::parse(report_json(evaluated(1, 3)));
  EXPECT_EQ(json["pairs"][0]["classes"]["over_kd"]["pcd"]["seeds"], 1);
}

// A report.json holds the gains and the runs.
TEST(ReportClasses, APublishedReportSaysNoMoreOfOnePairedSeed) {
  for (const size_t kd_seeds : {1u, 3u}) {
    Report report = evaluated(kd_seeds, 3);
    ResultPair& pair = report.data.pairs.at(0);
    PairEvaluation& evaluation = report.evaluations.pairs.at(0);
    pair.classes = PublishedClasses{evaluation.class_names, evaluation.confidence, {}};
    for (int c = 0; c < classes; ++c) pair.classes->gains["pcd"].push_back(c);
    evaluation.students.clear();
    expect_said(report, kd_seeds);
  }
}

// Classes without test images were points of confidence 0 and gain 0.
TEST(ReportClasses, OnlyThoseThatTestImagesShowCount) {
  Report report = evaluated(3, 3);
  PairEvaluation& evaluation = report.evaluations.pairs.at(0);
  for (const size_t c : {size_t(0), size_t(20)}) {
    evaluation.confidence[c] = NAN;
    for (auto& row : evaluation.students)
      for (ClassAccuracy& own : row) own.images[c] = own.correct[c] = 0;
  }
  const std::vector<ClassFinding> findings = class_findings(report);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].correlation.n, size_t(classes - 2));
  EXPECT_EQ(findings[0].classes.size(), size_t(classes - 2));
  EXPECT_EQ(findings[0].classes[0], 1u);
  EXPECT_NEAR(findings[0].correlation.rho, 1, 1e-12);
  EXPECT_NEAR(findings[0].low_third, 6.5, 1e-9);  // of the 12 classes from 1 on
  EXPECT_EQ(classes_section(report).find(">class 20<"), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(report_json(report))["pairs"][0]["classes"];
  EXPECT_TRUE(json["teacher_confidence"][20].is_null());
  EXPECT_TRUE(json["over_kd"]["pcd"]["gain"][20].is_null());
  EXPECT_FALSE(json["over_kd"]["pcd"]["gain"][21].is_null());
}

// kd and pcd of two seeds; those of a method hold images out or do not.
Report chosen_by(const char* kd, const char* pcd) {
  FakeRuns runs;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const double last = 60 + 2.5 * double(seed);
    runs.add(text("kd/seed-", seed), FakeRuns::settings("kd"), "finished", last, last, seed);
    runs.add(text("pcd/seed-", seed), FakeRuns::settings("pcd"), "finished", last + 1, last + double(seed),
             seed);
  }
  Report report{.data = collect_results({runs.folder()}), .evaluations = {}};
  for (ResultRow& row : report.data.pairs.at(0).rows)
    for (ResultRun& run : row.runs) run.summary.best_by = row.method == "kd" ? kd : pcd;
  return report;
}

void expect_best(const Report& report, const std::string& words) {
  EXPECT_EQ(best_words(report.data), words);
  expect_contains(report_markdown(report), "deviation; best is the " + words + ". Differences");
  expect_contains(differences_section(report), "</span> " + words + "</span></div>");
}

TEST(ReportBest, IsNamedByWhatChoseIt) {
  const std::string test = "best test epoch", held_out = "epoch that held-out images chose";
  const std::string both = test + ", or, where images were held out, the " + held_out;
  expect_best(chosen_by("test", "test"), test);
  expect_best(chosen_by("validation", "validation"), held_out);
  expect_best(chosen_by("validation", "test"), both);
  expect_best(chosen_by("test", "validation"), both);
}

TEST(ReportBest, AsksOnlyRunsThatCount) {
  Report report = chosen_by("test", "test");
  ResultRun& unfinished = report.data.pairs.at(0).rows.at(0).runs.at(1);
  unfinished.status = "stopped";
  unfinished.summary.best_by = "validation";
  expect_best(report, "best test epoch");
}

// It is not in their summaries, but its settings are there.
TEST(ReportBest, OfAPublishedReportFollowsFromItsSettings) {
  Report report = chosen_by("", "");
  expect_best(report, "best test epoch");
  for (ResultRow& row : report.data.pairs.at(0).rows) row.settings->data.validation = 500;
  expect_best(report, "epoch that held-out images chose");
}

// The teacher's best stands in the table, not among the differences.
TEST(ReportBest, OfTheTeacherIsNamedWhereItStands) {
  Report report = chosen_by("test", "test");
  report.data.pairs.at(0).teacher_summary = Summary{};
  report.data.pairs.at(0).teacher_summary->best_by = "validation";
  expect_contains(report_markdown(report), "best test epoch, or, where images were held out");
  EXPECT_EQ(best_words(report.data.pairs.at(0)), "best test epoch");
}

}  // namespace
}  // namespace retort
