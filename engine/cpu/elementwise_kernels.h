// Element-wise kernels and reductions of the CPU backends over plain pointers. Compiled once per instruction set.
#pragma once
#include <cstdint>

#include "engine/isa.h"
#include "engine/kernels/elementwise.h"

namespace retort {

// How an operand of a binary op follows the result [rows, columns].
enum class Broadcast { none, one, per_row, per_column };

template <class T>
struct ElementwiseKernels {
  // to[i] (=|+=) f(x[i])
  void (*unary)(const UnaryOp& op, const T* x, T* to, int64_t n, bool accumulate);
  void (*unary_gradient)(const UnaryOp& op, const T* x, const T* y, const T* dy, T* dx, int64_t n, bool accumulate);
  // Rows [first, last) of to [.., columns].
  void (*binary)(Binary op, const T* a, Broadcast a_as, const T* b, Broadcast b_as, T* to, int64_t first, int64_t last,
                 int64_t columns, bool accumulate);
  void (*scale)(const T* x, T factor, T* to, int64_t n, bool accumulate);
  double (*sum)(const T* x, int64_t n);
  // to[c] = sum over rows of x[r, c]; overwrites.
  void (*column_sums)(const T* x, int64_t rows, int64_t columns, T* to);
  void (*sgd)(T* w, const T* g, T* v, T lr, T momentum, T weight_decay, int64_t n);
};

template <class T, Isa isa>
const ElementwiseKernels<T>& elementwise_kernels();

template <class T>
const ElementwiseKernels<T>& elementwise_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512: return elementwise_kernels<T, compiled(Isa::avx512)>();
    case Isa::avx2: return elementwise_kernels<T, compiled(Isa::avx2)>();
    default: return elementwise_kernels<T, Isa::baseline>();
  }
}

}  // namespace retort
