// What a machine's cores can do at most, measured: the floor under every kernel's time.
#pragma once

namespace retort {

struct Peak {
  int threads = 0;
  double flops = 0;  // f32 multiplications and additions per second, in registers
  double bytes = 0;  // read and written per second in memory, beyond the caches

  // The least seconds for this much work: it may overlap with itself.
  double floor(double work_flops, double work_bytes) const;
};

// Of `threads` threads at once (0: cpu_quota()), the best of several tries, in about a second. On a busy
// machine less comes out than the cores can do.
Peak measure_peak(int threads);

}  // namespace retort
