// Ranges of gradients, in the order in which they are handed on.
#include "engine/distributed/buckets.h"

#include <gtest/gtest.h>

#include "engine/base/check.h"

namespace retort {
namespace {

using Taken = std::vector<std::pair<int64_t, int64_t>>;

class BucketsOfFiveParts : public ::testing::Test {
 protected:
  // From the end: [14, 24) is one part, [3, 14) are two, [0, 3) is what is left.
  Buckets buckets_{{0, 3, 6, 14, 24}, 25, 10};
  Taken taken_;
  Buckets::Take take_ = [this](int64_t first, int64_t count) { taken_.push_back({first, count}); };
};

TEST_F(BucketsOfFiveParts, CoverAllFromTheEndInWholeParts) {
  buckets_.finish(take_);
  EXPECT_EQ(taken_, (Taken{{14, 11}, {3, 11}, {0, 3}}));
}

TEST_F(BucketsOfFiveParts, AreTakenOnceTheirPartsAreThere) {
  for (int step = 0; step < 2; ++step) {
    taken_.clear();
    buckets_.ready(3, take_);
    EXPECT_EQ(taken_, Taken{}) << "part 4 is not there";
    buckets_.ready(4, take_);
    EXPECT_EQ(taken_, (Taken{{14, 11}}));
    buckets_.ready(2, take_);
    buckets_.ready(1, take_);
    EXPECT_EQ(taken_, (Taken{{14, 11}, {3, 11}}));
    buckets_.finish(take_);
    EXPECT_EQ(taken_, (Taken{{14, 11}, {3, 11}, {0, 3}})) << "part 0 was not reached";
  }
}

// Every process sends the same ranges in the same order, or they would add what does not belong together.
TEST_F(BucketsOfFiveParts, KeepTheirOrderWhateverIsReadyFirst) {
  for (const std::vector<size_t>& order :
       {std::vector<size_t>{0, 1, 2, 3, 4}, {1, 0, 4, 3, 2}, {4, 2, 0, 1, 3}, {3}, {}}) {
    taken_.clear();
    for (const size_t part : order) buckets_.ready(part, take_);
    buckets_.finish(take_);
    EXPECT_EQ(taken_, (Taken{{14, 11}, {3, 11}, {0, 3}}));
  }
}

TEST_F(BucketsOfFiveParts, APartIsReadyOnceInAStep) {
  buckets_.ready(0, take_);
  EXPECT_THROW(buckets_.ready(0, take_), Error);
  buckets_.finish(take_);
  buckets_.ready(0, take_);
}

TEST(Buckets, APartLargerThanARangeIsOne) {
  Buckets buckets({0, 5, 100}, 104, 10);
  Taken taken;
  buckets.finish([&](int64_t first, int64_t count) { taken.push_back({first, count}); });
  EXPECT_EQ(taken, (Taken{{5, 99}, {0, 5}}));
}

}  // namespace
}  // namespace retort
