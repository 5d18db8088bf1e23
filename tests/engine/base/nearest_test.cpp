#include "engine/base/nearest.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Nearest, CountsTypingErrors) {
  EXPECT_EQ(nearest("pdc", {"ce", "kd", "pcd"}), "pcd") << "swapped";
  EXPECT_EQ(nearest("epohcs", {"epochs", "epics"}), "epochs");
  EXPECT_EQ(nearest("resnet21", {"resnet110", "resnet20"}), "resnet20") << "substituted";
  EXPECT_EQ(nearest("tran", {"eval", "train"}), "train") << "left out";
  EXPECT_EQ(nearest("traiin", {"eval", "train"}), "train") << "doubled";
  EXPECT_EQ(nearest("train", {"train", "eval"}), "train");
}

TEST(Nearest, TiesAndEmptyNames) {
  EXPECT_EQ(nearest("x", {"a", "b"}), "a");
  EXPECT_EQ(nearest("", {"abc", "a"}), "a");
  EXPECT_EQ(nearest("abc", {""}), "");
  EXPECT_EQ(nearest("abc", {}), "");
}

}  // namespace
}  // namespace retort
