// Batch norm and pooling of the portable backend against plain loops in f64, in each instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/cpu/portable.h"
#include "tests/support/instruction_sets.h"

namespace retort {
namespace {

template <class T>
std::vector<T> as(const std::vector<double>& v) {
  return {v.begin(), v.end()};
}

template <class T>
Tensor tensor(std::vector<T>& v, const Shape& shape) {
  return {v.data(), shape, DTypeOf<T>::value};
}

// Rows of `channels`, with ReLU and something added: narrow rows are taken several at a time, wide ones in
// stripes of 512.
template <class T>
void batch_norm_matches(int64_t rows, int64_t channels, Backend& backend, double bound) {
  SCOPED_TRACE(testing::Message() << rows << " x " << channels);
  const size_t n = size_t(rows * channels), c = size_t(channels);
  const auto x = numbers(rows * channels, 1), add = numbers(rows * channels, 2),
             dy = numbers(rows * channels, 3), gamma = numbers(channels, 4), beta = numbers(channels, 5);
  const BatchNormSpec spec{.eps = 1e-5, .momentum = 0.1, .relu = true};
  std::vector<T> tx = as<T>(x), tadd = as<T>(add), tdy = as<T>(dy), tgamma = as<T>(gamma),
                 tbeta = as<T>(beta), y(n), mean(c), inverse(c), running_mean(c), running_var(c, T(1)), dx(n),
                 dadd(n), dgamma(c), dbeta(c);
  const Shape matrix{rows, channels}, vector{channels};
  backend.batch_norm_train(tensor(tx, matrix), tensor(tgamma, vector), tensor(tbeta, vector),
                           tensor(tadd, matrix), spec, tensor(running_mean, vector),
                           tensor(running_var, vector), tensor(mean, vector), tensor(inverse, vector),
                           tensor(y, matrix));
  backend.batch_norm_gradient(tensor(tx, matrix), tensor(y, matrix), tensor(tdy, matrix),
                              tensor(tgamma, vector), spec, tensor(mean, vector), tensor(inverse, vector),
                              true, tensor(dx, matrix), tensor(dgamma, vector), tensor(dbeta, vector),
                              tensor(dadd, matrix));
  for (size_t j = 0; j < c; ++j) {
    double m = 0, v = 0, sum_g = 0, sum_gx = 0;
    for (size_t i = j; i < n; i += c) m += x[i] / double(rows);
    for (size_t i = j; i < n; i += c) v += (x[i] - m) * (x[i] - m) / double(rows);
    const double s = 1 / std::sqrt(v + spec.eps);
    ASSERT_NEAR(double(mean[j]), m, bound);
    ASSERT_NEAR(double(running_var[j]), .9 + .1 * v * double(rows) / double(rows - 1), bound);
    for (size_t i = j; i < n; i += c) {
      const double value = gamma[j] * (x[i] - m) * s + beta[j] + add[i];
      ASSERT_NEAR(double(y[i]), std::max(value, 0.0), 30 * bound) << "y[" << i << "]";
      const double g = y[i] > T(0) ? dy[i] : 0;
      ASSERT_EQ(dadd[i], T(g)) << "dadd[" << i << "]";
      sum_g += g;
      sum_gx += g * (x[i] - m) * s;
    }
    ASSERT_NEAR(double(dbeta[j]), sum_g, bound * double(rows));
    ASSERT_NEAR(double(dgamma[j]), sum_gx, bound * double(rows));
    for (size_t i = j; i < n; i += c) {
      const double g = y[i] > T(0) ? dy[i] : 0;
      const double d = gamma[j] * s * (g - sum_g / double(rows) - (x[i] - m) * s * sum_gx / double(rows));
      ASSERT_NEAR(double(dx[i]), d, 30 * bound) << "dx[" << i << "]";
    }
  }
}

TEST(Channels, BatchNormMatchesPlainLoopsForNarrowAndWideRows) {
  for (Isa isa : isas()) {
    SCOPED_TRACE(name_of(isa));
    const IsaScope scope(isa);
    Portable backend(2);
    for (int64_t channels : {1, 5, 16, 63, 64, 65, 128, 500, 512, 520, 1031, 1536}) {
      batch_norm_matches<float>(61, channels, backend, 1e-6);
      batch_norm_matches<double>(61, channels, backend, 1e-14);
    }
    batch_norm_matches<float>(1000, 48, backend, 1e-6);  // several blocks of rows
    batch_norm_matches<double>(100, 600, backend, 1e-14);
  }
}

// Whole numbers from 0 to 3, so that there are ties, and some NaN, alone in their window and not.
template <class T>
void max_pool_matches(Backend& backend, int64_t channels) {
  SCOPED_TRACE(testing::Message() << channels << " channels");
  const Shape in{2, 7, 6, channels}, out{2, 4, 3, channels};
  const Pool2dSpec spec{Pool2dSpec::maximum, 3, 2, 1};
  std::vector<T> x, y(size_t(out.size())), without(size_t(out.size()));
  std::vector<int32_t> at(size_t(out.size()));
  for (double v : numbers(in.size(), 6))
    x.push_back(v > .9 ? std::numeric_limits<T>::quiet_NaN() : T(std::floor(2 * v + 2)));
  backend.pool2d(tensor(x, in), spec, tensor(y, out), {at.data(), out, DType::i32});
  backend.pool2d(tensor(x, in), spec, tensor(without, out), {});
  for (int64_t o = 0; o < out.size(); ++o) {
    const int64_t c = o % channels, j = o / channels % 3, i = o / channels / 3 % 4, n = o / channels / 12;
    int64_t best = -1;
    for (int64_t h = std::max<int64_t>(2 * i - 1, 0); h < std::min<int64_t>(2 * i + 2, 7); ++h)
      for (int64_t w = std::max<int64_t>(2 * j - 1, 0); w < std::min<int64_t>(2 * j + 2, 6); ++w) {
        const int64_t place = ((n * 7 + h) * 6 + w) * channels + c;
        const T value = x[size_t(place)];
        if (best < 0 || (!std::isnan(x[size_t(best)]) && (std::isnan(value) || value > x[size_t(best)])))
          best = place;
      }
    ASSERT_EQ(at[size_t(o)], best) << "output " << o;
    for (T value : {y[size_t(o)], without[size_t(o)]}) {
      if (std::isnan(x[size_t(best)]))
        ASSERT_TRUE(std::isnan(value)) << "output " << o;
      else
        ASSERT_EQ(value, x[size_t(best)]) << "output " << o;
    }
  }
}

TEST(Channels, MaxPoolTakesTheFirstAtATieAndNanBeforeAll) {
  for (Isa isa : isas()) {
    SCOPED_TRACE(name_of(isa));
    const IsaScope scope(isa);
    Portable backend(2);
    for (int64_t channels : {1, 7, 16, 64, 83}) {
      max_pool_matches<float>(backend, channels);
      max_pool_matches<double>(backend, channels);
    }
  }
}

}  // namespace
}  // namespace retort
