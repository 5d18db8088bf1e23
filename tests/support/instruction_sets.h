// Portable's kernels are compiled once per instruction set: a test of them runs each that this machine has.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "engine/isa.h"

namespace retort {

// Numbers in [-1, 1], a fixed sequence per seed.
inline std::vector<double> numbers(int64_t count, uint32_t seed) {
  std::vector<double> v(static_cast<size_t>(count));
  uint32_t state = seed * 2654435761u + 12345u;
  for (double& x : v) {
    state = state * 1664525u + 1013904223u;
    x = float(int32_t(state)) / 2147483648.0f;  // exact in f32, so that both types see the same problem
  }
  return v;
}

// The instruction sets that run here; the constructor of Portable reads RETORT_ISA.
inline std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isa <= best_isa()) all.push_back(isa);
  return all;
}

class IsaScope {
 public:
  explicit IsaScope(Isa isa) { setenv("RETORT_ISA", name_of(isa), 1); }
  ~IsaScope() { unsetenv("RETORT_ISA"); }
};

}  // namespace retort
