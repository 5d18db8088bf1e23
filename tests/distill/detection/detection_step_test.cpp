#include "distill/detection/detection_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "datasets/detection/open_detection.h"
#include "distill/detection/detection_evaluator.h"
#include "distill/methods/registry.h"
#include "distill/train/run_context.h"
#include "models/weights.h"

namespace retort {
namespace {

// Some pictures of the drawn set, a network, and what trains it.
class Training {
 public:
  explicit Training(const std::string& method = "ce", int threads = 0, int images = 16)
      : data(open_detection(text("scenes:train=", images, ",test=1"))),
        device(Device::open({.name = "portable", .threads = threads})),
        student(make_detector("rcnn_tiny", *device, {.classes = 24})),
        loader(data.train, {.batch = 8, .seed = 3, .workers = 0, .normalize = normalize()}) {
    initialize(*student, *device, 1);
    if (method != "ce") {
      teacher = make_detector("rcnn_small", *device, {.classes = 24});
      initialize(*teacher, *device, 2);
      freeze(*teacher);
      fold_batch_norms(*teacher, *device);
    }
    RunSettings settings = default_settings("distill");
    settings.method = method_settings(method);
    distiller = make_distiller(settings.method, *device,
                               method_context(settings, *student, teacher.get(), *device, {}, {}));
    initialize(*distiller, *device, 1);
    std::vector<NamedParameter> learned = parameters_of(*student);
    for (const NamedParameter& p : parameters_of(*distiller)) learned.push_back(p);
    optimizer = std::make_unique<Sgd>(
        *device, learned, SgdOptions{.learning_rate = 0.02, .momentum = 0.9, .weight_decay = 1e-4});
  }
  Normalize normalize() const {
    Normalize n{};
    for (int c = 0; c < 3; ++c) {
      n.mean[c] = data.mean[size_t(c)];
      n.stddev[c] = data.stddev[size_t(c)];
    }
    return n;
  }
  DetectionStep step() {
    return DetectionStep(
        {*device, *student, *distiller, *optimizer, teacher.get(), 3, positives, background});
  }
  void epochs(DetectionStep& step, int first, int last) {
    for (int epoch = first; epoch <= last; ++epoch) {
      distiller->begin_epoch(epoch);
      loader.begin_epoch(epoch);
      while (const HostDetections* batch = loader.next()) step.run(*batch, epoch);
    }
  }
  std::string hash() { return weights_hash(state_of(*student, *device)); }

  DetectionData data;
  std::unique_ptr<Device> device;
  std::unique_ptr<Detector> student, teacher;
  std::unique_ptr<Distiller> distiller;
  DetectionLoader loader;
  std::unique_ptr<Sgd> optimizer;
  bool positives = false, background = true;
};

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
