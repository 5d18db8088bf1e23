#include "engine/isa.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace retort {

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "unknown";
}

Isa best_isa() {
  Isa best = Isa::baseline;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (best == Isa::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    best = Isa::avx512;
  }
#endif
  if (const char* wanted = std::getenv("RETORT_ISA")) {
    for (Isa isa : {Isa::baseline, Isa::avx2}) {
      if (std::strcmp(wanted, name_of(isa)) == 0 && isa < best) return isa;
    }
  }
  return best;
}

}  // namespace retort
