// Instruction sets that the host kernels are compiled for, chosen at run time. On a processor other than x86-64 the
// baseline stands for all.
#pragma once

namespace retort {

enum class Isa { baseline, avx2, avx512 };
constexpr int isa_count = 3;

// The set whose code stands for `isa`: what CMake compiles, see retort_isa_sources.
#if defined(__x86_64__)
constexpr Isa compiled(Isa isa) { return isa; }
#else
constexpr Isa compiled(Isa) { return Isa::baseline; }
#endif

// The best one that this processor and its system run. RETORT_ISA=baseline|avx2|avx512 in the environment
// lowers it, for tests.
Isa best_isa();
const char* name_of(Isa isa);

}  // namespace retort
