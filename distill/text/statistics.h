// What a handful of seeds say: mean, deviation, and the interval of a paired difference.
#pragma once
#include <cstddef>
#include <span>

namespace retort {

// NaN for no values.
double mean_of(std::span<const double> values);
double median_of(std::span<const double> values);

// Sample standard deviation, divided by n - 1; NaN for fewer than two values: one seed has no deviation.
double deviation_of(std::span<const double> values);

// Student's t distribution with `freedom` > 0 degrees of freedom: P(T <= t), and the t at which it is
// 0 < probability < 1.
double student_t_cdf(double t, double freedom);
double student_t_quantile(double probability, double freedom);

// a - b, value by value (the same seeds with two methods), with its two-sided t-interval.
struct PairedDifference {
  size_t n = 0;
  double mean = 0;
  double deviation = 0;  // of the differences; NaN, as what follows, for fewer than two
  // The interval. NaN too where all differences are the same: accuracies are multiples of one image, and
  // equal ones do not say that there is no spread.
  double low = 0, high = 0;
  double p = 0;  // of differences at least as far from 0 if there were none
  // Of what was compared: which way is better, and the decimals it is shown with.
  bool higher_is_better = true;
  int digits = 2;
};
PairedDifference paired_difference(std::span<const double> a, std::span<const double> b,
                                   double confidence = 0.95);

}  // namespace retort
