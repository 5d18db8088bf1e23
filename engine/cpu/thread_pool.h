// A fixed set of threads for the CPU backends. Work is cut into a number of tasks that depends on the problem
// only, never on the number of threads; so does what a task computes, and with it every result.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace retort {

// The number of CPUs this process may use: affinity, its share of the machine and of what its control groups
// may have. At least 1.
int cpu_quota();
// Of this machine's CPUs the others of so many processes use theirs, from now on.
void share_cpus(int processes);

class ThreadPool {
 public:
  // threads counts the caller; 0: cpu_quota().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls task(i, thread) for every i in [0, tasks), thread in [0, threads()), and waits. Each thread starts
  // on its own contiguous share (so that it finds in its cache what it wrote there before) and then helps the
  // others. task must not throw and must not call run(). Called from one thread at a time.
  template <class F>
  void run(int64_t tasks, const F& task) {
    if (tasks <= 0) return;
    if (workers_.empty() || tasks == 1) {
      for (int64_t i = 0; i < tasks; ++i) task(i, 0);
      return;
    }
    run_on_all(
        tasks, [](const void* f, int64_t i, int thread) { (*static_cast<const F*>(f))(i, thread); }, &task);
  }

 private:
  void join();
  using Call = void (*)(const void* task, int64_t index, int thread);
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };
  void run_on_all(int64_t tasks, Call call, const void* task);
  void work(int thread);
  void worker(int thread);

  std::vector<std::thread> workers_;
  std::unique_ptr<Share[]> shares_;
  Call call_ = nullptr;
  const void* task_ = nullptr;
  alignas(64) std::atomic<uint32_t> round_{0};  // one more with every run
  alignas(64) std::atomic<int> busy_{0};        // workers still in this round
  std::atomic<bool> stop_{false};
};

}  // namespace retort
