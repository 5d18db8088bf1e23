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

DetectionSample thin_sample() {
  return {.image = 0,
          .height = 64,
          .width = 1024,
          .original_height = 64,
          .original_width = 1024,
          .objects = {{{1000, 2, 2e-5, 20}, 3}, {{10, 2, 2e-5, 20}, 4}, {{1000, 2, 1, 20}, 5}}};
}

TEST(DetectionStep, TrueBoxesHaveSidesInF32) {
  const TrueBoxes truth = true_boxes(thin_sample());
  EXPECT_EQ(truth.classes, (std::vector<int32_t>{4, 5}));
  for (const BoundingBox& box : truth.boxes) EXPECT_GT(box.width(), 0);
}

// What is left of boxes may be too thin for f32 in all pictures of a batch.
TEST(DetectionStep, ABatchWithoutABoxOfAnObjectIsBackgroundAndDistilsNothingFromObjects) {
  for (const char* method : {"kd", "dkd", "dist", "nkd", "rld", "ctkd", "pcd"}) {
    Training run(method, 1);
    run.positives = true;
    DetectionStep step = run.step();
    run.loader.begin_epoch(1);
    HostDetections batch = *run.loader.next();
    for (DetectionSample& sample : batch.samples) sample.objects = {{{1000, 2, 2e-5, 20}, 3}};
    step.run(batch, 1);
    const MetricTotals::Values sums = step.totals().read();
    ASSERT_GT(sums.terms.size(), 4u) << method;
    EXPECT_EQ(sums.terms[1], 0) << "no box to learn";
    for (size_t i = 4; i < sums.terms.size(); ++i) EXPECT_EQ(sums.terms[i], 0) << method;
    EXPECT_TRUE(std::isfinite(sums.loss)) << method;
    for (const HostTensor& t : state_of(*run.student, *run.device)) {
      if (t.type != DType::f32) continue;
      for (const float v : t.values<float>()) ASSERT_TRUE(std::isfinite(v)) << method << ' ' << t.name;
    }
    // Batches with objects go on.
    step.run(*run.loader.next(), 1);
    EXPECT_NE(step.totals().read().terms[4], 0) << method;
  }
}

TEST(ForEachImage, ComputesAllAndTellsTheFirstThatFailed) {
  for (const int threads : {1, 3}) {
    const auto device = Device::open({.name = "portable", .threads = threads});
    std::vector<int> seen(40);
    for_each_image(*device, seen.size(), [&](size_t n) { seen[n] += int(n); });
    for (size_t n = 0; n < seen.size(); ++n) EXPECT_EQ(seen[n], int(n));
    try {
      for_each_image(*device, 40, [](size_t n) { check(n % 10 != 7, Fault::input, "image ", n); });
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "image 7");
    }
    for_each_image(*device, 0, [](size_t) { FAIL(); });
  }
}

}  // namespace
}  // namespace retort
