#include <ctime>

#include "engine/cpu/fma_peak.h"
#include "engine/cpu/simd.h"

namespace retort {

namespace {

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

constexpr int chains = 12;  // enough to hide the latency, and there are registers for them everywhere

float multiply_and_add(long rounds) {
  Vector<float> sum[chains];
  unroll<chains>([&](int c) __attribute__((always_inline)) { sum[c] = Vector<float>{} + float(c); });
  Vector<float> x = Vector<float>{} + 1.0f, y = Vector<float>{} + 0.5f;
  for (long i = 0; i < rounds; ++i) {
#if defined(__x86_64__)
    asm volatile("" : "+x"(x), "+x"(y));  // or the compiler would do the sum in one go
#else
    asm volatile("" : "+w"(x), "+w"(y));
#endif
    unroll<chains>([&](int c) __attribute__((always_inline)) { sum[c] += x * y; });
  }
  float total = 0;
  unroll<chains>([&](int c) __attribute__((always_inline)) { total += sum[c][0]; });
  return total;
}

}  // namespace

template <>
double fma_peak<Isa::RETORT_ISA>() {
  constexpr long rounds = 500'000;
  double best = 0;
  volatile float sink = 0;
  for (int run = 0; run < 20; ++run) {
    const double start = cpu_seconds();
    sink = sink + multiply_and_add(rounds);
    const double rate = 2.0 * double(rounds) * chains * lanes<float> / (cpu_seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}

}  // namespace retort
