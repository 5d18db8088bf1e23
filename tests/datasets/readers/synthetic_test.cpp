// The embedded data set.
#include "datasets/readers/synthetic.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "datasets/open.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_fault;

TEST(Synthetic, DefaultsAreBalanced) {
  const DataSet data = open_dataset("synthetic");
  for (const ImageSet* set : {&data.train, &data.test}) {
    EXPECT_EQ(set->height, 32);
    EXPECT_EQ(set->classes, 24);
    ASSERT_EQ(set->class_names.size(), 24u);
    ASSERT_EQ(int64_t(set->images.size()), set->size() * 3072);
    const int64_t each = set->size() / 24;
    for (int c = 0; c < 24; ++c) EXPECT_EQ(std::count(set->labels.begin(), set->labels.end(), c), each);
  }
  EXPECT_EQ(std::set<std::string>(data.train.class_names.begin(), data.train.class_names.end()).size(), 24u);
  EXPECT_EQ(data.train.class_names[19], "striped star");
}

// The bytes are part of what a run's numbers mean: a change of the drawing is a change of every published
// result. The same constant must hold with every compiler, optimisation and processor.
TEST(Synthetic, SameBytesEverywhere) {
  EXPECT_EQ(open_dataset("synthetic").hash(), 0x82dd3152063b03e6u);
}

TEST(Synthetic, StatisticsAreThoseItNormalisesWith) {
  const ImageSet train = open_dataset("synthetic").train;
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    for (size_t i = c; i < train.images.size(); i += 3) {
      const double v = train.images[i] / 255.0;
      sum += v;
      squares += v * v;
    }
    const double n = double(train.images.size()) / 3, mean = sum / n;
    EXPECT_NEAR(mean, double(train.mean[c]), 0.005);
    EXPECT_NEAR(std::sqrt(squares / n - mean * mean), double(train.stddev[c]), 0.005);
  }
}

TEST(Synthetic, AnImageIsAFunctionOfSeedPartAndNumber) {
  const DataSet large = open_dataset("synthetic:train=100,test=50");
  const DataSet small = open_dataset("synthetic:test=24,train=70");
  EXPECT_TRUE(std::equal(small.train.images.begin(), small.train.images.end(), large.train.images.begin()));
  EXPECT_TRUE(std::equal(small.test.images.begin(), small.test.images.end(), large.test.images.begin()));
  EXPECT_FALSE(std::equal(large.test.images.begin(), large.test.images.end(), large.train.images.begin()))
      << "the test images are the training images";
  const DataSet other = open_dataset("synthetic:train=100,test=50,seed=2");
  EXPECT_NE(other.train.hash(), large.train.hash());
  EXPECT_NE(other.test.hash(), large.test.hash());

  std::set<std::string> distinct;
  for (int64_t i = 0; i < large.train.size(); ++i)
    distinct.insert(std::string(reinterpret_cast<const char*>(large.train.image(i)), 3072));
  EXPECT_EQ(distinct.size(), 100u);
}

TEST(Synthetic, OnlyTheTestPart) {
  const DataSet data = open_dataset("synthetic:test=30", Parts::test);
  EXPECT_EQ(data.train.size(), 0);
  EXPECT_EQ(data.train.classes, 24);
  EXPECT_EQ(data.test.hash(), open_dataset("synthetic:train=1,test=30").test.hash());
}

TEST(Synthetic, BadOptions) {
  const auto expect_usage = [](const std::string& spec, const std::string& part) {
    expect_fault(Fault::usage, part, [&] { open_dataset(spec); });
  };
  expect_usage("synthetic:tain=5", "'tain=5' is not known; expected train=N, test=N or seed=N");
  expect_usage("synthetic:train", "train=: expected a number from 1 to 1000000");
  expect_usage("synthetic:train=0", "train=0: expected a number from 1");
  expect_usage("synthetic:train=-3", "train=-3");
  expect_usage("synthetic:train=12x", "train=12x");
  expect_usage("synthetic:test=99999999999", "test=99999999999");
  expect_usage("synthetic:seed=-1", "seed=-1");
  expect_usage("synthetic:train=5,,test=5", "'' is not known");
}

}  // namespace
}  // namespace retort
