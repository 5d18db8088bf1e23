#include "engine/cpu/elementwise_kernels.h"

#include "engine/cpu/column_loops.h"

namespace retort {

namespace {

// Calls f(std::true/false-like constant) so that the inner loop has no branch on it.
template <bool value>
struct Flag {
  static constexpr bool on = value;
};
template <class F>
RETORT_HD void with_flag(bool flag, F f) {
  if (flag) f(Flag<true>{});
  else f(Flag<false>{});
}

template <class T>
void unary(const UnaryOp& op, const T* x, T* to, int64_t n, bool accumulate) {
  with_formula(op, [&](auto formula) {
    with_flag(accumulate, [&](auto add) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) to[i] = formula.value(x[i]) + (add.on ? to[i] : T(0));
    });
  });
}

template <class T>
void unary_gradient(const UnaryOp& op, const T* x, const T* y, const T* dy, T* dx, int64_t n, bool accumulate) {
  with_formula(op, [&](auto formula) {
    with_flag(accumulate, [&](auto add) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * formula.derivative(x[i], y[i]) + (add.on ? dx[i] : T(0));
    });
  });
}

// Where row r of an operand starts, and how far apart its columns are.
template <class T>
struct Operand {
  const T* data;
  int64_t row_step, column_step;

  Operand(const T* from, Broadcast as, int64_t columns)
      : data(from),
        row_step(as == Broadcast::none ? columns : as == Broadcast::per_row ? 1 : 0),
        column_step(as == Broadcast::none || as == Broadcast::per_column ? 1 : 0) {}
};

template <class T>
void binary(Binary op, const T* a, Broadcast a_as, const T* b, Broadcast b_as, T* to, int64_t first, int64_t last,
            int64_t columns, bool accumulate) {
  const Operand<T> left(a, a_as, columns), right(b, b_as, columns);
  with_formula(op, [&](auto formula) {
    with_flag(accumulate, [&](auto add) {
      for (int64_t r = first; r < last; ++r) {
        const T* p = left.data + r * left.row_step;
        const T* q = right.data + r * right.row_step;
        T* out = to + r * columns;
        with_flag(left.column_step == 1, [&](auto p_moves) {
          with_flag(right.column_step == 1, [&](auto q_moves) {
#pragma omp simd
            for (int64_t c = 0; c < columns; ++c) {
              out[c] = formula.value(p[p_moves.on ? c : 0], q[q_moves.on ? c : 0]) + (add.on ? out[c] : T(0));
            }
          });
        });
      }
    });
  });
}

template <class T>
void scale(const T* x, T factor, T* to, int64_t n, bool accumulate) {
  with_flag(accumulate, [&](auto add) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = factor * x[i] + (add.on ? to[i] : T(0));
  });
}

template <class T>
double sum(const T* x, int64_t n) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += double(x[i]);
  return total;
}

template <class T>
void column_sums(const T* x, int64_t rows, int64_t columns, T* to) {
  T* const sums[1] = {to};
  sum_columns<T, 1, 0>(
      rows, columns, nullptr, sums,
      [=](int64_t i, int64_t j, const Lanes<T, 0>&, T(*total)[stripe]) { total[0][j] += x[i]; });
}

template <class T>
void sgd(T* w, const T* g, T* v, T lr, T momentum, T weight_decay, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) sgd_step(w[i], g[i], v[i], lr, momentum, weight_decay);
}

template <class T>
constexpr ElementwiseKernels<T> table = {unary<T>, unary_gradient<T>, binary<T>, scale<T>,
                                         sum<T>,   column_sums<T>,    sgd<T>};

}  // namespace

template <>
const ElementwiseKernels<float>& elementwise_kernels<float, Isa::RETORT_ISA>() {
  return table<float>;
}
template <>
const ElementwiseKernels<double>& elementwise_kernels<double, Isa::RETORT_ISA>() {
  return table<double>;
}

}  // namespace retort
