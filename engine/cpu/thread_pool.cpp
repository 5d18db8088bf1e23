#include "engine/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <system_error>

#include "engine/base/check.h"
#include "engine/base/control_group.h"

namespace retort {

namespace {

// Short waits are spun: an op takes some 100 us, waking a sleeping thread a tenth of that.
constexpr int spins = 4000;

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::atomic<int> sharing{1};  // processes among which the machine is shared out

}  // namespace

int cpu_quota() {
  const int all = int(std::max(1u, std::thread::hardware_concurrency())), processes = sharing;
  int cpus = all;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = std::max(1, CPU_COUNT(&set));
  if (processes > 1) cpus = std::min(cpus, std::max(1, all / processes));
  if (const auto quota = group_cpus()) cpus = std::min(cpus, std::max(1, int(*quota / processes + 0.5)));
  return cpus;
}

void share_cpus(int processes) {
  sharing = std::max(1, processes);
}

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = cpu_quota();
  shares_ = std::make_unique<Share[]>(size_t(threads));
  try {
    for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { worker(t); });
  } catch (const std::system_error& error) {
    join();
    fail(Fault::memory, "threads: the system gives no more than ", workers_.size() + 1, " of ", threads, ": ",
         error.what(), "; give fewer with --threads");
  }
}

ThreadPool::~ThreadPool() {
  join();
}

void ThreadPool::join() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& w : workers_) w.join();
}

void ThreadPool::run_on_all(int64_t tasks, Call call, const void* task) {
  const int64_t n = threads();
  for (int64_t t = 0; t < n; ++t) {
    shares_[size_t(t)].next.store(tasks * t / n, std::memory_order_relaxed);
    shares_[size_t(t)].end = tasks * (t + 1) / n;
  }
  call_ = call;
  task_ = task;
  busy_.store(int(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  work(0);
  for (int i = 0; busy_.load(std::memory_order_acquire) != 0; ++i) {
    if (i < spins)
      pause_briefly();
    else
      std::this_thread::yield();
  }
}

void ThreadPool::work(int thread) {
  const int n = threads();
  for (int offset = 0; offset < n; ++offset) {
    Share& share = shares_[size_t((thread + offset) % n)];
    for (;;) {
      const int64_t i = share.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= share.end) break;
      call_(task_, i, thread);
    }
  }
}

void ThreadPool::worker(int thread) {
  uint32_t seen = 0;
  for (;;) {
    for (int i = 0; i < spins && round_.load(std::memory_order_acquire) == seen; ++i) pause_briefly();
    round_.wait(seen, std::memory_order_acquire);
    seen = round_.load(std::memory_order_acquire);
    if (stop_) return;
    work(thread);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace retort
