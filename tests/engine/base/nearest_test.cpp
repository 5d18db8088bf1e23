#include "engine/base/nearest.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Nearest, FindsTheNameThatWasMeant) {
  EXPECT_EQ(nearest("pdc", {"ce", "kd", "pcd"}), "pcd") << "swapped";
  EXPECT_EQ(nearest("epohcs", {"epochs", "epics"}), "epochs");
  EXPECT_EQ(nearest("resnet21", {"resnet110", "resnet20"}), "resnet20") << "substituted";
  EXPECT_EQ(nearest("tran", {"eval", "train"}), "train") << "left out";
  EXPECT_EQ(nearest("traiin", {"eval", "train"}), "train") << "doubled";
  EXPECT_EQ(nearest("train", {"train", "eval"}), "train");
}

TEST(Nearest, CaseComesFirst) {
  EXPECT_EQ(nearest("PCD", {"ce", "kd", "pcd"}), "pcd");
  EXPECT_EQ(nearest("RESNET20", {"resnet8", "resnet20"}), "resnet20");
  EXPECT_EQ(nearest("shufflev1", {"ShuffleV2", "ShuffleV1"}), "ShuffleV1");
  EXPECT_EQ(nearest("Epohcs", {"epochs"}), "epochs");
}

TEST(Nearest, AnotherWordIsNoSlip) {
  EXPECT_EQ(nearest("version", {"train", "distill", "eval", "report"}), "");
  EXPECT_EQ(nearest("--quiet", {"--init", "--lr", "--out"}), "");
  EXPECT_EQ(nearest("x", {"a", "b"}), "");
  EXPECT_EQ(nearest("", {"abc", "a"}), "");
  EXPECT_EQ(nearest("abc", {""}), "");
  EXPECT_EQ(nearest("abc", {}), "");
  // A third of the letters, no more.
  EXPECT_EQ(nearest("abcdef", {"abcdxy"}), "abcdxy");
  EXPECT_EQ(nearest("abcdef", {"abcxyz"}), "");
}

TEST(Nearest, WhereNoneIsNearAllAreNamed) {
  EXPECT_EQ(suggestion("PCD", {"ce", "kd", "pcd"}), "did you mean 'pcd'?");
  EXPECT_EQ(suggestion("version", {"ce", "kd"}), "expected one of ce, kd");
  EXPECT_EQ(suggestion("version", {"ce", "kd"}, "`retort --help` lists them"), "`retort --help` lists them");
}

}  // namespace
}  // namespace retort
