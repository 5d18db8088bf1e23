// The formulas of the element-wise operations, written once for every backend.
#pragma once
#include "engine/kernels/math.h"

namespace retort {

enum class Unary { relu, exp, log, sqrt, square, abs, sigmoid, reciprocal, affine, at_least, smooth_l1 };
enum class Binary { add, sub, mul, div };

// An element-wise function of one argument. affine: scale * x + shift; at_least: max(x, shift); smooth_l1:
// x^2 / 2 where |x| < 1, else |x| - 1/2 (Huber's).
struct UnaryOp {
  Unary kind;
  double scale = 1, shift = 0;
};

template <Unary kind>
struct UnaryFormula {
  double scale, shift;

  // y = f(x)
  template <class T>
  RETORT_HD T value(T x) const {
    if constexpr (kind == Unary::relu) return x < T(0) ? T(0) : x;  // NaN stays NaN, in every ReLU here
    if constexpr (kind == Unary::exp) return exponential(x);
    if constexpr (kind == Unary::log) return logarithm(x);
    if constexpr (kind == Unary::sqrt) return square_root(x);
    if constexpr (kind == Unary::square) return x * x;
    if constexpr (kind == Unary::abs) return absolute(x);
    if constexpr (kind == Unary::sigmoid) return T(1) / (T(1) + exponential(-x));
    if constexpr (kind == Unary::reciprocal) return T(1) / x;
    if constexpr (kind == Unary::affine) return T(scale) * x + T(shift);
    if constexpr (kind == Unary::at_least) return x > T(shift) ? x : T(shift);
    if constexpr (kind == Unary::smooth_l1) {
      return absolute(x) < T(1) ? T(0.5) * x * x : absolute(x) - T(0.5);
    }
  }
  // dy/dx at x, where y = f(x). At a corner the subgradient 0, as for the norm of a zero vector (sqrt).
  template <class T>
  RETORT_HD T derivative(T x, T y) const {
    if constexpr (kind == Unary::relu) return y > T(0) ? T(1) : T(0);
    if constexpr (kind == Unary::exp) return y;
    if constexpr (kind == Unary::log) return T(1) / x;
    if constexpr (kind == Unary::sqrt) return y > T(0) ? T(0.5) / y : T(0);
    if constexpr (kind == Unary::square) return T(2) * x;
    if constexpr (kind == Unary::abs) return x > T(0) ? T(1) : (x < T(0) ? T(-1) : T(0));
    if constexpr (kind == Unary::sigmoid) return y * (T(1) - y);
    if constexpr (kind == Unary::reciprocal) return -y * y;
    if constexpr (kind == Unary::affine) return T(scale);
    if constexpr (kind == Unary::at_least) return x > T(shift) ? T(1) : T(0);
    if constexpr (kind == Unary::smooth_l1) return x < T(-1) ? T(-1) : (x > T(1) ? T(1) : x);
  }
};

template <Binary kind>
struct BinaryFormula {
  template <class T>
  RETORT_HD T value(T a, T b) const {
    if constexpr (kind == Binary::add) return a + b;
    if constexpr (kind == Binary::sub) return a - b;
    if constexpr (kind == Binary::mul) return a * b;
    if constexpr (kind == Binary::div) return a / b;
  }
};

// Calls f with the formula object of op.
template <class F>
RETORT_HD void with_formula(const UnaryOp& op, F f) {
  switch (op.kind) {
    case Unary::relu:
      return f(UnaryFormula<Unary::relu>{op.scale, op.shift});
    case Unary::exp:
      return f(UnaryFormula<Unary::exp>{op.scale, op.shift});
    case Unary::log:
      return f(UnaryFormula<Unary::log>{op.scale, op.shift});
    case Unary::sqrt:
      return f(UnaryFormula<Unary::sqrt>{op.scale, op.shift});
    case Unary::square:
      return f(UnaryFormula<Unary::square>{op.scale, op.shift});
    case Unary::abs:
      return f(UnaryFormula<Unary::abs>{op.scale, op.shift});
    case Unary::sigmoid:
      return f(UnaryFormula<Unary::sigmoid>{op.scale, op.shift});
    case Unary::reciprocal:
      return f(UnaryFormula<Unary::reciprocal>{op.scale, op.shift});
    case Unary::affine:
      return f(UnaryFormula<Unary::affine>{op.scale, op.shift});
    case Unary::at_least:
      return f(UnaryFormula<Unary::at_least>{op.scale, op.shift});
    case Unary::smooth_l1:
      return f(UnaryFormula<Unary::smooth_l1>{op.scale, op.shift});
  }
}

template <class F>
RETORT_HD void with_formula(Binary op, F f) {
  switch (op) {
    case Binary::add:
      return f(BinaryFormula<Binary::add>{});
    case Binary::sub:
      return f(BinaryFormula<Binary::sub>{});
    case Binary::mul:
      return f(BinaryFormula<Binary::mul>{});
    case Binary::div:
      return f(BinaryFormula<Binary::div>{});
  }
}

// One SGD step as PyTorch takes it (torch.optim.SGD, no Nesterov, no dampening): g += wd w;
// v = momentum v + g (v starts at 0, so its first value is g); w -= lr v.
template <class T>
RETORT_HD void sgd_step(T& w, T g, T& v, T lr, T momentum, T weight_decay) {
  v = momentum * v + (g + weight_decay * w);
  w = w - lr * v;
}

}  // namespace retort
