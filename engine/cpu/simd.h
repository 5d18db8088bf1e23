// Vectors of one instruction set, for *_kernels.cpp only: everything here is always inlined or in a namespace
// per instruction set, as the same source is compiled several times and no copy may be shared.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "engine/isa.h"
#include "engine/kernels/host_device.h"

// A lambda that is always inlined.
#define RETORT_FLAT __attribute__((always_inline))

namespace retort {
namespace {

constexpr Isa this_isa = Isa::RETORT_ISA;
constexpr int vector_bytes = this_isa == Isa::avx512 ? 64 : this_isa == Isa::avx2 ? 32 : 16;

template <class T>
struct VectorOf {
  // aligned(alignof(T)): loads and stores need no more alignment than an element.
  typedef T Type __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::Type;

template <class T>
constexpr int lanes = vector_bytes / int(sizeof(T));

template <class T>
RETORT_HD Vector<T> load(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}

template <class T>
RETORT_HD void store(T* to, Vector<T> v) {
  *reinterpret_cast<Vector<T>*>(to) = v;
}

// f(0), ..., f(n - 1), written out, so that arrays of vectors indexed by the argument stay in registers.
template <int n, class F>
RETORT_HD void unroll(const F& f) {
  if constexpr (n > 0) {
    unroll<n - 1>(f);
    f(n - 1);
  }
}

}  // namespace
}  // namespace retort
