#include "distill/text/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::error_of;

TEST(Statistics, Moments) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_EQ(mean_of(values), 2.5);
  EXPECT_EQ(median_of(values), 2.5);
  EXPECT_NEAR(deviation_of(values), std::sqrt(5.0 / 3), 1e-15);
  EXPECT_EQ(median_of(std::vector<double>{9, 1, 5}), 5);
  EXPECT_EQ(deviation_of(std::vector<double>{70.1, 70.1, 70.1}), 0);
  EXPECT_NEAR(deviation_of(std::vector<double>{1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}), std::sqrt(30.0), 1e-9);
}

TEST(Statistics, TooFewValues) {
  const std::vector<double> one = {7};
  EXPECT_TRUE(std::isnan(mean_of({})) && std::isnan(median_of({})) && std::isnan(deviation_of({})));
  EXPECT_EQ(mean_of(one), 7);
  EXPECT_EQ(median_of(one), 7);
  EXPECT_TRUE(std::isnan(deviation_of(one)));
  EXPECT_TRUE(std::isnan(median_of(std::vector<double>{1, std::nan(""), 2})));
}

// Closed forms: one degree of freedom is Cauchy's distribution, two are algebraic.
TEST(Statistics, StudentTClosedForms) {
  for (double t : {-1e6, -40.0, -1.0, -1e-8, 0.0, 0.3, 2.0, 12.0, 1e4}) {
    EXPECT_NEAR(student_t_cdf(t, 1), 0.5 + std::atan(t) / M_PI, 1e-15) << t;
    EXPECT_NEAR(student_t_cdf(t, 2), 0.5 + t / (2 * std::sqrt(2 + t * t)), 1e-15) << t;
  }
  for (double p : {1e-12, 1e-3, 0.025, 0.3, 0.5, 0.7, 0.975, 0.9999}) {
    EXPECT_NEAR(student_t_quantile(p, 1) * std::tan(M_PI * p), p == 0.5 ? 0 : -1, 1e-9) << p;
    const double x = 2 * p - 1;
    EXPECT_NEAR(student_t_quantile(p, 2), x * std::sqrt(2 / (1 - x * x)), 1e-9 * (1 + 1 / std::min(p, 1 - p)))
        << p;
  }
}

// Values of scipy.stats.t.ppf.
TEST(Statistics, StudentTQuantiles) {
  EXPECT_NEAR(student_t_quantile(0.975, 3), 3.18244630528371, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.975, 4), 2.77644510519779, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.975, 9), 2.2621571627982, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.975, 29), 2.0452296421327, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.995, 7.5), 3.42142268812404, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.025, 4), -2.77644510519779, 1e-11);
  EXPECT_NEAR(student_t_quantile(0.975, 1e6), 1.95996635681411, 1e-9);
  for (double freedom : {0.5, 1.0, 3.0, 10.0, 1000.0, 1e7})
    for (double p : {1e-6, 0.01, 0.4, 0.6, 0.975})
      EXPECT_NEAR(student_t_cdf(student_t_quantile(p, freedom), freedom), p, 1e-10) << freedom << ' ' << p;
  error_of(Fault::internal, [] { student_t_quantile(1, 3); });
  error_of(Fault::internal, [] { student_t_quantile(0.5, 0); });
}

TEST(Statistics, PairedDifference) {
  const std::vector<double> a = {71.2, 70.8, 71.5}, b = {70.9, 70.7, 70.8};
  const PairedDifference result = paired_difference(a, b);  // scipy.stats.ttest_rel and its interval
  EXPECT_EQ(result.n, 3u);
  EXPECT_NEAR(result.mean, 0.366666666666665, 1e-12);
  EXPECT_NEAR(result.deviation, 0.305505046330394, 1e-12);
  EXPECT_NEAR(result.low, -0.392249940052698, 1e-10);
  EXPECT_NEAR(result.high, 1.12558327338603, 1e-10);
  EXPECT_NEAR(result.p, 0.173189369196893, 1e-12);
}

TEST(Statistics, PairedDifferenceAtItsEdges) {
  const std::vector<double> a = {71, 72}, b = {70, 71};
  // Equal differences say nothing of their spread: no interval of width zero.
  const PairedDifference constant = paired_difference(a, b);
  EXPECT_EQ(constant.mean, 1);
  EXPECT_TRUE(std::isnan(constant.low) && std::isnan(constant.high) && std::isnan(constant.p));
  EXPECT_TRUE(std::isnan(paired_difference(a, a).p));
  const std::vector<double> odd = {70.1 + 0.3, 64.7 + 0.3, 12.9 + 0.3}, odder = {70.1, 64.7, 12.9};
  EXPECT_TRUE(std::isnan(paired_difference(odd, odder).low));  // equal but for rounding
  const PairedDifference one = paired_difference(std::vector<double>{71}, std::vector<double>{70});
  EXPECT_EQ(one.mean, 1);
  EXPECT_TRUE(std::isnan(one.low) && std::isnan(one.high) && std::isnan(one.p) && std::isnan(one.deviation));
  error_of(Fault::internal, [&] { paired_difference(a, std::vector<double>{1}); });
}

}  // namespace
}  // namespace retort
