#include "engine/base/memory.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Memory, LimitIsOfThisMachine) {
  EXPECT_GE(memory_limit(), int64_t{64} << 20);
  EXPECT_LT(memory_limit(), int64_t{1} << 50) << "a group without a limit says a huge number";
}

}  // namespace
}  // namespace retort
