// Ranking on the host's lanes: against std::stable_sort.
#include "engine/kernels/lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/support/closed_formula.h"

namespace retort {
namespace {

struct AnyIsa {};

template <class T>
std::vector<int32_t> ranked(const std::vector<T>& keys) {
  const auto n = int64_t(keys.size());
  std::vector<char> scratch(rank_scratch_bytes<T>(n));
  std::vector<int32_t> order(keys.size(), -1);
  HostLanes<AnyIsa> lanes(scratch.data());
  lanes.rank_descending(n, keys.data(), order.data());
  return order;
}

template <class T>
std::vector<int32_t> stable_descending(const std::vector<T>& keys) {
  std::vector<int32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return keys[size_t(a)] > keys[size_t(b)]; });
  return order;
}

template <class T>
class Ranking : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Ranking, Types);

TYPED_TEST(Ranking, IsAStableDescendingSort) {
  for (const int64_t n : {1, 2, 3, 5, 15, 16, 17, 100, 256, 257, 1000}) {
    for (const int bits : {2, 6, 22}) {  // few bits: many equal keys
      const std::vector<double> values = closed_values("ranking", n, 8, 0, bits);
      const std::vector<TypeParam> keys(values.begin(), values.end());
      EXPECT_EQ(ranked(keys), stable_descending(keys)) << n << " keys of " << bits << " bits";
    }
  }
}

TYPED_TEST(Ranking, TheTwoZerosAreEqualAndInfinityIsLargest) {
  const TypeParam infinity = std::numeric_limits<TypeParam>::infinity();
  const std::vector<TypeParam> keys = {0, TypeParam(-0.0), 1, -infinity, TypeParam(-0.0), infinity, 0};
  EXPECT_EQ(ranked(keys), (std::vector<int32_t>{5, 2, 0, 1, 4, 6, 3}));
}

TYPED_TEST(Ranking, IsAPermutationWhateverTheKeys) {
  for (const int64_t n : {7, 300}) {
    std::vector<TypeParam> keys(static_cast<size_t>(n), 1);
    for (size_t i = 0; i < keys.size(); i += 2) {
      keys[i] = std::copysign(std::numeric_limits<TypeParam>::quiet_NaN(), TypeParam(i % 4 ? 1 : -1));
    }
    std::vector<int32_t> order = ranked(keys);
    EXPECT_TRUE(std::isnan(keys[size_t(order[0])]));
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(order[size_t(i)], i);
  }
}

}  // namespace
}  // namespace retort
