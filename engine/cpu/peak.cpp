#include "engine/cpu/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "engine/cpu/fma_peak.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

namespace {

// f(thread) on all threads at once.
template <class F>
void on_threads(int threads, const F& f) {
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back([&f, t] { f(t); });
  f(0);
  for (std::thread& other : others) other.join();
}

// a = b + s c over arrays that no cache holds, each thread its own part: two reads and a write per element.
// What the write reads first is not counted, as nowhere here.
double memory_bytes_per_second(int threads) {
  constexpr int64_t floats = int64_t{8} << 20;  // of one thread and array: 32 MiB
  constexpr int tries = 6;
  std::vector<std::vector<float>> arrays(size_t(3 * threads));
  std::vector<double> best(size_t(threads), 0.0);
  std::atomic<int> arrived{0};
  on_threads(threads, [&](int t) {
    for (int i = 0; i < 3; ++i) arrays[size_t(3 * t + i)].assign(size_t(floats), float(i));
    float* a = arrays[size_t(3 * t)].data();
    const float *b = arrays[size_t(3 * t + 1)].data(), *c = arrays[size_t(3 * t + 2)].data();
    for (int round = 1; round <= tries; ++round) {
      ++arrived;  // begin together
      while (arrived < round * threads) std::this_thread::yield();
      const auto start = std::chrono::steady_clock::now();
#pragma omp simd
      for (int64_t i = 0; i < floats; ++i) a[i] = b[i] + 0.5f * c[i];
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      best[size_t(t)] = std::max(best[size_t(t)], 3.0 * double(floats) * sizeof(float) / taken.count());
    }
  });
  double sum = 0;
  for (const double rate : best) sum += rate;
  return sum;
}

}  // namespace

double Peak::floor(double work_flops, double work_bytes) const {
  return std::max(flops > 0 ? work_flops / flops : 0, bytes > 0 ? work_bytes / bytes : 0);
}

Peak measure_peak(int threads) {
  Peak peak;
  peak.threads = threads > 0 ? threads : cpu_quota();
  std::vector<double> rates(size_t(peak.threads), 0.0);
  on_threads(peak.threads, [&](int t) { rates[size_t(t)] = fma_peak(best_isa()); });
  for (const double rate : rates) peak.flops += rate;
  peak.bytes = memory_bytes_per_second(peak.threads);
  return peak;
}

}  // namespace retort
