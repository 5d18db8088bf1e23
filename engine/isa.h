// Instruction sets that the host kernels are compiled for, chosen at run time. Where a compiler or an
// architecture lacks one, its entry is the baseline's code.
#pragma once

namespace retort {

enum class Isa { baseline, avx2, avx512 };
constexpr int isa_count = 3;

// The best one that this processor and its system run. RETORT_ISA=baseline|avx2|avx512 in the environment
// lowers it, for tests.
Isa best_isa();
const char* name_of(Isa isa);

}  // namespace retort
