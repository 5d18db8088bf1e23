#include "engine/random.h"

#include <gtest/gtest.h>

#include <set>

namespace retort {
namespace {

// The known-answer vectors that Random123, the authors' library, ships for philox4x32-10.
TEST(Philox, GivesTheKnownAnswers) {
  const Random4 zeros = philox({{0, 0, 0, 0}}, 0);
  EXPECT_EQ(zeros.v[0], 0x6627e8d5u);
  EXPECT_EQ(zeros.v[1], 0xe169c58du);
  EXPECT_EQ(zeros.v[2], 0xbc57ac4cu);
  EXPECT_EQ(zeros.v[3], 0x9b00dbd8u);
  const Random4 ones = philox({{~0u, ~0u, ~0u, ~0u}}, ~uint64_t(0));
  EXPECT_EQ(ones.v[0], 0x408f276du);
  EXPECT_EQ(ones.v[1], 0x41c83b0eu);
  EXPECT_EQ(ones.v[2], 0xa20bc7c6u);
  EXPECT_EQ(ones.v[3], 0x6d5451fdu);
}

TEST(Philox, EveryArgumentMatters) {
  std::set<uint32_t> words;
  words.insert(random4(1, Purpose::augment, 1, 1, 1).v[0]);
  words.insert(random4(2, Purpose::augment, 1, 1, 1).v[0]);
  words.insert(random4(1, Purpose::shuffle, 1, 1, 1).v[0]);
  words.insert(random4(1, Purpose::augment, 2, 1, 1).v[0]);
  words.insert(random4(1, Purpose::augment, 1, 2, 1).v[0]);
  words.insert(random4(1, Purpose::augment, 1, 1, 2).v[0]);
  EXPECT_EQ(words.size(), 6u);
}

TEST(Philox, UnitAndBelowStayInTheirRange) {
  EXPECT_EQ(random_unit(0), 0.0f);
  EXPECT_LT(random_unit(~0u), 1.0f);
  EXPECT_EQ(random_below(0, 9), 0u);
  EXPECT_EQ(random_below(~0u, 9), 8u);
}

}  // namespace
}  // namespace retort
