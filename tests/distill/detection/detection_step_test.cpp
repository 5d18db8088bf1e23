#include "distill/detection/detection_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "distill/detection/detection_evaluator.h"
#include "tests/support/detector_training.h"

namespace retort {
namespace {

using Training = testing::DetectorTraining;

TEST(DetectionStep, SixteenPicturesAreLearned) {
  Training run;
  DetectionStep step = run.step();
  run.optimizer->set_learning_rate(0.002);
  run.epochs(step, 1, 10);
  run.optimizer->set_learning_rate(0.02);
  run.epochs(step, 11, 90);
  run.optimizer->set_learning_rate(0.002);
  run.epochs(step, 91, 100);
  DetectionEvaluator evaluator(*run.student, *run.device, run.data.train,
                               {.batch = 8, .training = false, .workers = 0, .normalize = run.normalize()});
  const CocoScores scores = evaluator.scores(evaluator.detect());
  EXPECT_GT(scores.ap50, 0.95);
  EXPECT_GT(scores.ap, 0.5);
}

TEST(DetectionStep, SameBitsForAnyNumberOfThreads) {
  for (const char* method : {"pcd", "reviewkd"}) {
    Training one(method, 1), two(method, 2);
    DetectionStep step_one = one.step(), step_two = two.step();
    one.epochs(step_one, 1, 2);
    two.epochs(step_two, 1, 2);
    EXPECT_TRUE(one.hash() == two.hash()) << method;
  }
}

TEST(DetectionStep, TermsAreTheFourOfDetectionAndTheMethods) {
  const std::vector<std::string> four = {"rpn_cls", "rpn_box", "cls", "box"};
  Training alone;
  DetectionStep step = alone.step();
  alone.epochs(step, 1, 1);
  EXPECT_EQ(step.term_names(), four);
  const MetricTotals::Values sums = step.totals().read();
  double all = 0;
  for (const double term : sums.terms) {
    EXPECT_GT(term, 0);
    all += term;
  }
  EXPECT_NEAR(all, sums.loss, 1e-4 * all);

  for (const char* method : {"kd", "dkd", "dist", "nkd", "rld", "ctkd", "pcd", "reviewkd"}) {
    Training run(method);
    DetectionStep distilling = run.step();
    run.epochs(distilling, 1, 1);
    ASSERT_GT(distilling.term_names().size(), 4u) << method;
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(distilling.term_names()[i], four[i]) << method;
    const MetricTotals::Values values = distilling.totals().read();
    for (const double term : values.terms) EXPECT_TRUE(std::isfinite(term)) << method;
    EXPECT_NE(values.terms[4], 0) << method;
  }
}

TEST(DetectionStep, DistillationCanLookAtObjectsOnlyAndLeaveTheBackgroundOut) {
  std::vector<double> seen;
  for (const bool positives : {false, true}) {
    for (const bool background : {true, false}) {
      Training run("kd");
      run.positives = positives;
      run.background = background;
      DetectionStep step = run.step();
      run.epochs(step, 1, 1);
      seen.push_back(step.totals().read().terms.at(4));
    }
  }
  for (size_t i = 0; i < seen.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_NE(seen[i], seen[j]);
}

}  // namespace
}  // namespace retort
