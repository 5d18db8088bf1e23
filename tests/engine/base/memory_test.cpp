#include "engine/base/memory.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Memory, LimitIsOfThisMachine) {
  EXPECT_GE(memory_limit(), int64_t{64} << 20);
  EXPECT_LT(memory_limit(), int64_t{1} << 50) << "a group without a limit says a huge number";
}

TEST(Memory, OfSeveralProcessesEachHasItsShare) {
  const int64_t all = memory_limit();
  share_memory(4);
  EXPECT_EQ(memory_limit(), all / 4);
  share_memory(1);
  EXPECT_EQ(memory_limit(), all);
}

}  // namespace
}  // namespace retort
