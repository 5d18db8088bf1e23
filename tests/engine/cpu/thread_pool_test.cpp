#include "engine/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace retort {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceWhateverTheNumberOfThreads) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      for (int repeat = 0; repeat < 20; ++repeat) {
        pool.run(tasks, [&](int64_t i, int thread) {
          EXPECT_LT(thread, threads);
          runs[size_t(i)].fetch_add(1, std::memory_order_relaxed);
        });
      }
      for (const auto& r : runs) EXPECT_EQ(r.load(), 20);
    }
  }
}

TEST(ThreadPool, WhatTasksWroteIsVisibleAfterwards) {
  ThreadPool pool(4);
  std::vector<int> values(4096);
  for (int round = 1; round <= 200; ++round) {
    pool.run(int64_t(values.size()), [&](int64_t i, int) { values[size_t(i)] += round; });
    for (int v : values) ASSERT_EQ(v, round * (round + 1) / 2);
  }
}

TEST(ThreadPool, TheQuotaIsAtLeastOne) { EXPECT_GE(cpu_quota(), 1); }

}  // namespace
}  // namespace retort
