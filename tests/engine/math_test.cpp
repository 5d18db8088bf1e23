#include "engine/kernels/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace retort {
namespace {

TEST(Exponential, IsWithinTwoUnitsInTheLastPlace) {
  for (double x = -87.0; x < 88.7; x += 0.00317) {
    const float f = float(x);
    const double exact = std::exp(double(f));
    const double unit = exact * std::numeric_limits<float>::epsilon();
    ASSERT_NEAR(double(exponential(f)), exact, 2 * unit) << "at " << f;
  }
}

TEST(Exponential, HandlesTheEnds) {
  EXPECT_EQ(exponential(0.0f), 1.0f);
  EXPECT_EQ(exponential(-1000.0f), 0.0f);
  EXPECT_EQ(exponential(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_EQ(exponential(1000.0f), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace retort
