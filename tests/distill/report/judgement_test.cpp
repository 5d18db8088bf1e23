// Calibration and confusion from logits.
#include "distill/report/judgement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "distill/report/evaluation_cache.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

// Two classes: logits that give the first this probability.
void add(std::vector<float>& logits, double probability) {
  logits.push_back(float(std::log(probability / (1 - probability))));
  logits.push_back(0);
}

TEST(ReportJudgement, CalibrationErrorIsTheMeanDistanceOfTheBins) {
  std::vector<float> logits;
  std::vector<int32_t> labels;
  for (int i = 0; i < 10; ++i) add(logits, 0.9), labels.push_back(i < 6 ? 0 : 1);  // 90 % sure, 60 % right
  for (int i = 0; i < 10; ++i) add(logits, 0.7), labels.push_back(i < 7 ? 0 : 1);  // as sure as right
  const Judgement judged = judge(logits, labels, 2);
  EXPECT_EQ(judged.count(), 20);
  EXPECT_NEAR(judged.calibration_error(), 0.15, 1e-6);
  EXPECT_NEAR(judged.mean_confidence(), 0.8, 1e-6);
  EXPECT_NEAR(judged.accuracy(), 0.65, 1e-12);
  EXPECT_EQ(judged.said.at({1, 0}), 7);
  EXPECT_EQ(judged.said.at({0, 0}), 13);
  const Judgement twice = joined({judged, {}, judged});
  EXPECT_EQ(twice.count(), 40);
  EXPECT_NEAR(twice.calibration_error(), 0.15, 1e-6);
  EXPECT_TRUE(joined({}).empty());
  // A sure network lies in the last bin.
  EXPECT_EQ(judge(std::vector<float>{99, 0}, std::vector<int32_t>{0}, 2).images.back(), 1);
  testing::expect_fault(Fault::internal, "3 logits", [] {
    judge(std::vector<float>{1, 2, 3}, std::vector<int32_t>{0}, 2);
  });
}

TEST(ReportJudgement, IsKeptWithTheReport) {
  testing::TempFolder folder;
  std::vector<float> logits;
  std::vector<int32_t> labels = {0, 1, 1};
  for (const double p : {0.9, 0.8, 0.2}) add(logits, p);
  const Judgement judged = judge(logits, labels, 2);
  EvaluationCache cache(folder / "c.json");
  cache.put_judgement("judged x", judged);
  cache.write();
  EvaluationCache again(folder / "c.json");
  Judgement read;
  ASSERT_TRUE(again.find_judgement("judged x", 2, read));
  EXPECT_EQ(read.images, judged.images);
  EXPECT_EQ(read.right, judged.right);
  EXPECT_EQ(read.confidence, judged.confidence);
  EXPECT_EQ(read.said, judged.said);
  EXPECT_FALSE(again.find_judgement("judged x", 1, read));  // a class that is not there
  EXPECT_EQ(again.notes().size(), 1u);
}

}  // namespace
}  // namespace retort
