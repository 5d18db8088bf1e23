// Detectors on the emulated device: steps of distillation and a test are those of the portable backend, which
// the host's part between two halves of a step sees through what is downloaded.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "distill/detection/detection_evaluator.h"
#include "tests/support/detector_training.h"

namespace retort {
namespace {

using Training = testing::DetectorTraining;
using Values = std::map<std::string, std::vector<double>>;

constexpr int pictures = 2;

Values weights_of(Training& run) {
  Values all;
  for (const NamedParameter& p : parameters_of(*run.student))
    all[p.name] = read_values(*run.device, p.parameter->value);
  return all;
}

double length(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// One step from the same weights on the same pictures: the losses, and where it takes every weight.
void expect_portable_step(const std::string& method) {
  SCOPED_TRACE(method);
  Training expected(method, 1, pictures), found(method, 1, pictures, "cuda");
  const Values before = weights_of(expected);
  ASSERT_EQ(weights_of(found), before);
  DetectionStep portable = expected.step(), cuda = found.step();
  expected.epochs(portable, 1, 1);
  found.epochs(cuda, 1, 1);
  ASSERT_EQ(cuda.term_names(), portable.term_names());
  const MetricTotals::Values losses = portable.totals().read(), own = cuda.totals().read();
  for (size_t i = 0; i < losses.terms.size(); ++i)
    EXPECT_NEAR(own.terms[i], losses.terms[i], 1e-4 * losses.terms[i]) << portable.term_names()[i];
  const Values there = weights_of(expected), here = weights_of(found);
  for (const auto& [name, start] : before) {
    const double way = length(there.at(name), start);
    EXPECT_GT(way, 0) << name;
    // f32 through some 20 layers with norms of few places.
    EXPECT_LT(length(here.at(name), there.at(name)), 0.01 * way) << name;
  }
}

TEST(DetectionOnCuda, AStepIsThePortableOne) {
  expect_portable_step("pcd");
  expect_portable_step("reviewkd");
}

TEST(DetectionOnCuda, SameBitsTwice) {
  Training one("kd", 1, pictures, "cuda"), two("kd", 1, pictures, "cuda");
  DetectionStep first = one.step(), second = two.step();
  one.epochs(first, 1, 1);
  two.epochs(second, 1, 1);
  EXPECT_EQ(one.hash(), two.hash());
}

// What it finds with weights that make it sure.
std::vector<CocoDetection> found_by(const std::string& backend) {
  Training run("ce", 1, pictures, backend);
  for (const NamedParameter& p : parameters_of(*run.student)) {
    if (!p.name.ends_with("cls_score.weight")) continue;
    std::vector<double> values = read_values(*run.device, p.parameter->value);
    for (double& value : values) value *= 100;
    write_values(*run.device, p.parameter->value, values);
  }
  return DetectionEvaluator(*run.student, *run.device, run.data.train,
                            {.batch = 8, .training = false, .workers = 0, .normalize = run.normalize()})
      .detect();
}

// Nearly equal scores may change places, and with them what is the hundredth of a picture.
TEST(DetectionOnCuda, ATestFindsWhatPortableFinds) {
  const std::vector<CocoDetection> expected = found_by("portable"), found = found_by("cuda");
  const auto alike = [](const CocoDetection& a, const CocoDetection& b) {
    bool same = a.image == b.image && a.category == b.category && std::abs(a.score - b.score) < 1e-3;
    for (const auto side : {&CocoRect::x, &CocoRect::y, &CocoRect::width, &CocoRect::height})
      same = same && std::abs(a.box.*side - b.box.*side) < 0.1;
    return same;
  };
  EXPECT_GT(expected.size(), 50u);
  EXPECT_EQ(found.size(), expected.size());
  size_t missing = 0;
  for (const CocoDetection& one : expected) {
    missing +=
        std::none_of(found.begin(), found.end(), [&](const CocoDetection& own) { return alike(own, one); });
  }
  EXPECT_LE(missing, 2u);
}

}  // namespace
}  // namespace retort
