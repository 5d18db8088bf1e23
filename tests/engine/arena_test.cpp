#include "engine/arena.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "engine/base/check.h"
#include "engine/device.h"

namespace retort {
namespace {

class HostMemory : public Memory {
 public:
  void* allocate(size_t bytes) override {
    ++chunks;
    return std::aligned_alloc(Arena::alignment, bytes);
  }
  void release(void* data, size_t) override {
    --chunks;
    std::free(data);
  }
  bool host_addressable() const override { return true; }
  int chunks = 0;
};

TEST(Arena, GivesTheSameAddressesForTheSameSequence) {
  HostMemory memory;
  Arena arena(memory);
  std::vector<uint64_t> traces;
  for (int step = 0; step < 5; ++step) {
    arena.rewind();
    Hold a = arena.take(1000);
    Hold b = arena.take(size_t(3) << 20);
    a = {};
    const Hold c = arena.take(500), d = arena.take(2000);
    b = {};
    const Hold e = arena.take(size_t(1) << 20);
    traces.push_back(arena.trace());
  }
  EXPECT_EQ(traces[2], traces[3]);
  EXPECT_EQ(traces[3], traces[4]);
  EXPECT_TRUE(arena.steady());
  EXPECT_EQ(memory.chunks, 1) << "after growing, rewind() puts everything into one chunk";
}

TEST(Arena, ReusesWhatReturned) {
  HostMemory memory;
  Arena arena(memory);
  Hold a = arena.take(1 << 16);
  void* first = a.data();
  a = {};
  const Hold b = arena.take(1 << 16);
  EXPECT_EQ(b.data(), first);
  EXPECT_EQ(arena.peak(), size_t(1) << 16);
}

TEST(Arena, CopiesOfAHoldShareTheBlock) {
  HostMemory memory;
  Arena arena(memory);
  Hold a = arena.take(100);
  Hold b = a;
  a = {};
  EXPECT_GT(arena.in_use(), 0u);
  b = {};
  EXPECT_EQ(arena.in_use(), 0u);
}

TEST(Arena, RefusesToRewindUnderABlockInUse) {
  HostMemory memory;
  Arena arena(memory);
  const Hold a = arena.take(100);
  EXPECT_THROW(arena.rewind(), Error);
}

TEST(Arena, BlocksAreAlignedAndDoNotOverlap) {
  HostMemory memory;
  Arena arena(memory);
  std::vector<Hold> holds;
  std::vector<std::pair<char*, size_t>> ranges;
  for (size_t bytes : {1, 255, 256, 257, 10000, 0, 4096}) {
    holds.push_back(arena.take(bytes));
    char* data = static_cast<char*>(holds.back().data());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % Arena::alignment, 0u);
    for (const auto& [other, size] : ranges) EXPECT_TRUE(data + bytes <= other || other + size <= data);
    ranges.push_back({data, bytes});
  }
}

TEST(Arena, GuardNoticesAWriteOnEitherSide) {
  HostMemory memory;
  Arena arena(memory, true);
  Hold a = arena.take(100);
  std::memset(a.data(), 0, 100);
  a = {};
  EXPECT_EQ(arena.violations(), 0);
  Hold b = arena.take(100);
  static_cast<char*>(b.data())[100] = 0;
  b = {};
  EXPECT_EQ(arena.violations(), 1);
  Hold c = arena.take(100);
  static_cast<char*>(c.data())[-1] = 0;
  c = {};
  EXPECT_EQ(arena.violations(), 2);
}

TEST(Arena, OutOfMemoryIsItsOwnFault) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  try {
    device->step_arena().take(size_t(1) << 60);
    FAIL() << "a request for 2^60 bytes was granted";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::memory);
  }
}

}  // namespace
}  // namespace retort
