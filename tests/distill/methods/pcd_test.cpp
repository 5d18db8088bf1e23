// PCD's fused row kernel: against the same loss composed of plain ops, and at the edges.
#include "distill/methods/pcd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "distill/methods/loss_probe.h"
#include "distill/methods/pcd_row.h"
#include "layers/module.h"
#include "tests/support/closed_formula.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using Values = std::vector<double>;

struct Logit {
  int64_t samples, classes;
  Values student, teacher;
};

Logit random_logits(int64_t samples, int64_t classes, double scale = 4) {
  return {samples, classes, closed_values("pcd.student", samples * classes, scale),
          closed_values("pcd.teacher", samples * classes, scale)};
}

struct Result {
  double loss;
  Values gradient;
};

// loss(pass, student, teacher) and its gradient with respect to the student.
template <class Loss>
Result evaluate(const Logit& z, DType type, const Loss& loss) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  const Shape shape{z.samples, z.classes};
  const Var student_values = pass.make(shape, type), teacher = pass.make(shape, type);
  write_values(*device, student_values, z.student);
  write_values(*device, teacher, z.teacher);
  const Var student = tape.leaf(student_values);
  const Var value = loss(pass, student, teacher);
  tape.backward(value);
  return {read_values(*device, value)[0], read_values(*device, tape.gradient(student))};
}

Result fused(const Logit& z, const PcdSpec& spec, DType type = DType::f64) {
  return evaluate(z, type, [&](const Pass& pass, const Var& student, const Var& teacher) {
    return pcd_loss(pass, student, teacher, spec);
  });
}

// The order in which the classes of each sample are cut into groups.
Var class_order(const Pass& pass, const Logit& z, bool ranked) {
  std::vector<int32_t> order;
  for (int64_t b = 0; b < z.samples; ++b) {
    std::vector<int32_t> row(static_cast<size_t>(z.classes));
    std::iota(row.begin(), row.end(), 0);
    const auto gap = [&](int32_t c) {
      const size_t i = size_t(b * z.classes + c);
      return std::abs(z.teacher[i] - z.student[i]);
    };
    if (ranked)
      std::stable_sort(row.begin(), row.end(), [&](int32_t a, int32_t c) { return gap(a) > gap(c); });
    order.insert(order.end(), row.begin(), row.end());
  }
  Var index = pass.make({z.samples, z.classes}, DType::i32);
  pass.backend().upload(index, order.data());
  return index;
}

// The definition that the fused kernel has to meet.
Var composed_loss(const Pass& pass, const Var& student, const Var& teacher, const PcdSpec& spec,
                  const Var& order) {
  const double tau = spec.temperature;
  const int64_t classes = student.shape()[1];
  const Var s = gather_columns(pass, student, order), t = gather_columns(pass, teacher, order);
  const auto unit = [&](const Var& x) {
    return div(pass, x, sqrt(pass, sum_columns(pass, square(pass, x))));
  };
  Var sum;
  for (int64_t k = 1; k <= spec.stages; ++k) {
    for (int64_t g = 0; g < k; ++g) {
      const int64_t first = g * (classes / k), count = g + 1 < k ? classes / k : classes - first;
      const Var sg = slice_columns(pass, s, first, count), tg = slice_columns(pass, t, first, count);
      const Var p = softmax(pass, tg, tau), q = softmax(pass, sg, tau);
      const Var log_ratio = sub(pass, log_softmax(pass, tg, tau), log_softmax(pass, sg, tau));
      Var term = sum_columns(pass, mul(pass, p, log_ratio));
      if (spec.cosine) {
        const Var lambda = sum_columns(pass, square(pass, sub(pass, unit(p), unit(q))), 0.5);
        term = mul(pass, lambda, term);
      }
      term = mean_all(pass, term);
      sum = sum ? add(pass, sum, term) : term;
    }
  }
  return affine(pass, sum, tau * tau * spec.directions);
}

Result composed(const Logit& z, const PcdSpec& spec, DType type) {
  return evaluate(z, type, [&](const Pass& pass, const Var& student, const Var& teacher) {
    return composed_loss(pass, student, teacher, spec, class_order(pass, z, spec.ranked));
  });
}

void expect_same(const Result& found, const Result& expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(found.loss, expected.loss, tolerance * std::abs(expected.loss)) << what;
  double largest = 0;
  for (const double g : expected.gradient) largest = std::max(largest, std::abs(g));
  for (size_t i = 0; i < expected.gradient.size(); ++i) {
    ASSERT_NEAR(found.gradient[i], expected.gradient[i], tolerance * largest) << what << ", gradient " << i;
  }
}

TEST(Pcd, FusedIsTheComposition) {
  const std::pair<int64_t, int64_t> shapes[] = {{1, 10}, {7, 10}, {4, 100}, {3, 23}, {2, 300}};
  for (const auto& [samples, classes] : shapes) {
    const Logit z = random_logits(samples, classes);
    for (const int stages : {1, 3, 5, 10}) {
      for (const bool ranked : {true, false}) {
        for (const bool cosine : {true, false}) {
          for (const double tau : {1.0, 4.0}) {
            const PcdSpec spec{.temperature = tau,
                               .stages = stages,
                               .ranked = ranked,
                               .directions = cosine ? 2 : 1,
                               .cosine = cosine};
            const std::string what = text(samples, " x ", classes, ", S ", stages, ", ranked ", ranked,
                                          ", cosine ", cosine, ", tau ", tau);
            const Result expected = composed(z, spec, DType::f64);
            expect_same(fused(z, spec), expected, 1e-10, what);
            expect_same(fused(z, spec, DType::f32), expected, 2e-5, what + ", f32");
          }
        }
      }
    }
  }
}

TEST(Pcd, EqualDifferencesAreRankedByClass) {
  // Differences of few distinct values, so that the groups hang on the order among equals.
  Logit z{2, 12, closed_values("tied.student", 24, 4, 0, 2), closed_values("tied.teacher", 24, 4, 0, 2)};
  const PcdSpec spec{.stages = 5};
  expect_same(fused(z, spec), composed(z, spec, DType::f64), 1e-10, "f64");
  expect_same(fused(z, spec, DType::f32), composed(z, spec, DType::f64), 2e-5, "f32");
}

TEST(Pcd, AgreementCostsNothing) {
  Logit z = random_logits(3, 23);
  z.student = z.teacher;
  for (const DType type : {DType::f32, DType::f64}) {
    for (const bool cosine : {true, false}) {
      const Result result = fused(z, {.stages = 5, .cosine = cosine}, type);
      EXPECT_EQ(result.loss, 0);
      for (const double g : result.gradient) EXPECT_EQ(g, 0);
    }
  }
}

TEST(Pcd, ExtremeLogitsStayFinite) {
  Logit z = random_logits(4, 23, 1e4);
  z.student[3] = 1e4;
  z.teacher[3] = -1e4;
  for (const DType type : {DType::f32, DType::f64}) {
    for (const double tau : {1.0, 4.0}) {
      const Result result = fused(z, {.temperature = tau, .stages = 5}, type);
      EXPECT_TRUE(std::isfinite(result.loss));
      EXPECT_GT(result.loss, 0);
      for (const double g : result.gradient) EXPECT_TRUE(std::isfinite(g));
    }
  }
}

TEST(Pcd, NanShowsInTheLoss) {
  for (const int64_t classes : {23, 300}) {
    Logit z = random_logits(2, classes);
    z.student[5] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(std::isnan(fused(z, {}, DType::f32).loss));
  }
}

// With a gap of 0.01 between the logits, C = 100, tau 4, 1 - cos would be off by several per cent in f32.
TEST(Pcd, F32KeepsItsDigitsNearAgreement) {
  Logit z = random_logits(8, 100);
  const Values gap = closed_values("pcd.gap", 800, 0.01);
  for (size_t i = 0; i < gap.size(); ++i) {
    z.teacher[i] = float(z.teacher[i]);
    z.student[i] = float(z.teacher[i] + gap[i]);
  }
  expect_same(fused(z, {}, DType::f32), fused(z, {}), 5e-4, "gap 0.01");
}

// Near agreement lambda KL falls with the fourth power of the gap, KL alone with the second.
TEST(Pcd, FallsWithTheFourthPowerOfTheGap) {
  const auto at_gap = [](double scale, bool cosine) {
    Logit z = random_logits(4, 23);
    const Values gap = closed_values("pcd.gap", 92, scale);
    for (size_t i = 0; i < gap.size(); ++i) z.student[i] = z.teacher[i] + gap[i];
    return fused(z, {.cosine = cosine}).loss;
  };
  EXPECT_NEAR(at_gap(0.01, true) / at_gap(0.005, true), 16, 0.1);
  EXPECT_NEAR(at_gap(0.01, false) / at_gap(0.005, false), 4, 0.03);
}

TEST(Pcd, NoMoreStagesThanClasses) {
  const Logit z = random_logits(2, 6);
  EXPECT_NO_THROW(fused(z, {.stages = 6}));
  const std::string message = testing::error_of(Fault::usage, [&] { fused(z, {.stages = 7}); });
  testing::expect_contains(message, "stages is 7");
  testing::expect_contains(testing::error_of(Fault::usage, [&] { fused(z, {.stages = 0}); }), "stages is 0");
  testing::expect_contains(message, "6 classes");
}

TEST(Pcd, StagesThatNobodySetAreAsManyAsTheClasses) {
  MethodSettings settings = method_settings("pcd");
  settings.settle("stages", "5");
  EXPECT_NO_THROW(check_method(settings, 2));
  EXPECT_EQ(fit_stages(settings, 5), "");
  testing::expect_contains(fit_stages(settings, 2), "pcd has 2 stages instead of 5");
  EXPECT_EQ(settings.integer("stages"), 2);
  settings.set("stages", "3");
  EXPECT_EQ(fit_stages(settings, 2), "");
  testing::expect_contains(testing::error_of(Fault::usage, [&] { check_method(settings, 2); }),
                           "method.stages is 3");
  MethodSettings factor = method_settings("pcd-released");
  EXPECT_EQ(fit_stages(factor, 2), "");
}

TEST(Pcd, WithoutAGradientNoneIsComputed) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const Pass pass{*device};
  const Logit z = random_logits(3, 10);
  const Var student = pass.make({3, 10}, DType::f64), teacher = pass.make({3, 10}, DType::f64);
  write_values(*device, student, z.student);
  write_values(*device, teacher, z.teacher);
  EXPECT_EQ(read_values(*device, pcd_loss(pass, student, teacher, {}))[0], fused(z, {}).loss);
}

}  // namespace
}  // namespace retort
