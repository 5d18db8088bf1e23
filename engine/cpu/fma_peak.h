// The rate at which one core multiplies and adds in registers, against which kernels are measured.
#pragma once
#include "engine/isa.h"

namespace retort {

// Floating point operations per second of one core in f32 (an FMA counts two; without FMA a multiply and an
// add): the best of several short runs in CPU time. Compiled once per instruction set.
template <Isa isa>
double fma_peak();
template <>
double fma_peak<Isa::baseline>();
template <>
double fma_peak<Isa::avx2>();
template <>
double fma_peak<Isa::avx512>();

inline double fma_peak(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return fma_peak<compiled(Isa::avx512)>();
    case Isa::avx2:
      return fma_peak<compiled(Isa::avx2)>();
    default:
      return fma_peak<Isa::baseline>();
  }
}

}  // namespace retort
