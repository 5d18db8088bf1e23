#include "distill/text/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/base/check.h"

namespace retort {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// The continued fraction of the incomplete beta function, NIST Digital Library of Mathematical Functions
// 8.17.22, evaluated by Lentz's method (DLMF 3.10(iii)).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < tiny ? tiny : d);
  double value = d;
  for (int m = 1; m < 100'000; ++m) {
    double factor = 1;
    for (double term : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                        -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 + term * d;
      d = 1 / (std::abs(d) < tiny ? tiny : d);
      c = 1 + term / c;
      if (std::abs(c) < tiny) c = tiny;
      factor = c * d;
      value *= factor;
    }
    if (std::abs(factor - 1) < 1e-15) break;
  }
  return value;
}

// I_x(a, b), the regularised incomplete beta function (DLMF 8.17). The fraction converges fast for
// x < (a + 1) / (a + b + 2); beyond, the symmetry I_x(a, b) = 1 - I_{1-x}(b, a) leads there. y is 1 - x,
// given apart because it may be too small to survive the subtraction.
double regularised_beta(double x, double y, double a, double b) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(y));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, y) / b;
}

// P(T > t) for t >= 0: exact far out in the tail, where 1 - cdf is not.
double upper_tail(double t, double freedom) {
  const double square = t * t;
  return regularised_beta(freedom / (freedom + square), square / (freedom + square), freedom / 2, 0.5) / 2;
}

}  // namespace

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (double value : values) sum += value;
  return values.empty() ? nan : sum / double(values.size());
}

double median_of(std::span<const double> values) {
  if (values.empty()) return nan;
  for (double value : values)
    if (std::isnan(value)) return nan;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return nan;
  const double mean = mean_of(values);
  double sum = 0;
  for (double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / double(values.size() - 1));
}

double student_t_cdf(double t, double freedom) {
  check(freedom > 0, "student_t_cdf: ", freedom, " degrees of freedom, expected more than 0");
  if (std::isnan(t)) return nan;
  return t < 0 ? upper_tail(-t, freedom) : 1 - upper_tail(t, freedom);
}

double student_t_quantile(double probability, double freedom) {
  check(freedom > 0, "student_t_quantile: ", freedom, " degrees of freedom, expected more than 0");
  check(probability > 0 && probability < 1, "student_t_quantile: probability ", probability,
        ", expected 0 < p < 1");
  if (probability == 0.5) return 0;
  const double tail = probability < 0.5 ? probability : 1 - probability;
  double low = 0, high = 1;
  while (upper_tail(high, freedom) > tail && high < 1e300) high *= 2;
  // Bisection until the two are neighbours: some 60 steps, and nothing can go wrong.
  for (double middle; middle = low + (high - low) / 2, low < middle && middle < high;)
    (upper_tail(middle, freedom) > tail ? low : high) = middle;
  return probability < 0.5 ? -high : high;
}

PairedDifference paired_difference(std::span<const double> a, std::span<const double> b, double confidence) {
  check(a.size() == b.size(), "paired_difference: ", a.size(), " and ", b.size(), " values, expected pairs");
  std::vector<double> differences(a.begin(), a.end());
  for (size_t i = 0; i < b.size(); ++i) differences[i] -= b[i];
  PairedDifference result{.n = a.size(),
                          .mean = mean_of(differences),
                          .deviation = deviation_of(differences),
                          .low = nan,
                          .high = nan,
                          .p = nan};
  const bool alike = result.deviation <= 1e-12 * std::max(1.0, std::abs(result.mean));
  if (result.n < 2 || std::isnan(result.deviation) || alike) return result;
  const double freedom = double(result.n - 1);
  const double error = result.deviation / std::sqrt(double(result.n));
  const double half_width = student_t_quantile(0.5 + confidence / 2, freedom) * error;
  result.low = result.mean - half_width;
  result.high = result.mean + half_width;
  result.p = 2 * upper_tail(std::abs(result.mean / error), freedom);
  return result;
}

}  // namespace retort
