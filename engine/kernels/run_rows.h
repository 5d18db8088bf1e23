// Included only by files that CMake compiles once per instruction set: defines the host loop over rows for
// the set at hand, RETORT_ISA.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/row_kernel.h"

namespace retort {

template <Isa isa>
struct IsaTag {};

template <class Kernel, Isa isa>
void HostRows<Kernel, isa>::run(const void* kernel, int64_t first, int64_t last, void* scratch) {
  const Kernel k = *static_cast<const Kernel*>(kernel);
  for (int64_t row = first; row < last; ++row) {
    HostLanes<IsaTag<isa>> lanes(scratch);
    k(lanes, row);
  }
}

}  // namespace retort

#define RETORT_ROW_KERNEL(...) template struct retort::HostRows<__VA_ARGS__, retort::Isa::RETORT_ISA>;
