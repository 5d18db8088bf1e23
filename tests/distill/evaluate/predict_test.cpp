#include "distill/evaluate/predict.h"

#include <gtest/gtest.h>

#include <cmath>

#include "datasets/formats/npy.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

// The logits alone may not tell: the largest of a window passes NaN over.
TEST(PrepareArray, RefusesNumbersThatAreNotFinite) {
  testing::TempFolder work;
  std::vector<float> pixels(2 * 4 * 4 * 3, 0.5f);
  write_npy(work / "x.npy", {2, 4, 4, 3}, std::span<const float>(pixels));
  EXPECT_EQ(prepare_array(work / "x.npy", 4).count, 2);
  pixels[60] = std::nanf("");
  write_npy(work / "x.npy", {2, 4, 4, 3}, std::span<const float>(pixels));
  testing::expect_contains(testing::error_of(Fault::input, [&] { prepare_array(work / "x.npy", 4); }),
                           "element 60 (image 1) is nan");
}

TEST(Likeliest, OrdersByLogitAndGivesSoftmax) {
  const float logits[] = {0, 2, 1, 2};
  const std::vector<Guess> guesses = likeliest(logits, 4, 3);
  ASSERT_EQ(guesses.size(), 3u);
  EXPECT_EQ(guesses[0].label, 1) << "the lower class at a tie";
  EXPECT_EQ(guesses[1].label, 3);
  EXPECT_EQ(guesses[2].label, 2);
  const double sum = 1 + 2 * std::exp(2) + std::exp(1);
  EXPECT_NEAR(guesses[0].probability, std::exp(2) / sum, 1e-12);
  EXPECT_NEAR(guesses[2].probability, std::exp(1) / sum, 1e-12);
}

TEST(Likeliest, LargeLogitsAndFewClasses) {
  const float logits[] = {-1e30f, 3e30f};
  const std::vector<Guess> guesses = likeliest(logits, 2, 5);
  ASSERT_EQ(guesses.size(), 2u);
  EXPECT_EQ(guesses[0].probability, 1);
  EXPECT_EQ(guesses[1].probability, 0);
}

}  // namespace
}  // namespace retort
