// The softmax of two numbers, as row kernels need it: logarithms first, so that nothing underflows.
#pragma once
#include "engine/kernels/math.h"

namespace retort {

template <class T>
struct TwoClass {
  T log_first, log_second;
};

// Of numbers that differ by gap = first - second.
template <class T>
RETORT_HD TwoClass<T> two_class(T gap) {
  const T log_sum = log_one_plus(exponential(-absolute(gap)));
  return gap > T(0) ? TwoClass<T>{-log_sum, -gap - log_sum} : TwoClass<T>{gap - log_sum, -log_sum};
}

// KL of two such distributions; *step, if not null, becomes its derivative by q's gap, q - p of the first
// class: of the differences of both classes that of the smaller numbers, which is the more exact.
template <class T>
RETORT_HD T two_class_kl(const TwoClass<T>& p, const TwoClass<T>& q, T* step) {
  const T p1 = exponential(p.log_first), p2 = exponential(p.log_second);
  const T q1 = exponential(q.log_first), q2 = exponential(q.log_second);
  if (step) *step = q1 + p1 < q2 + p2 ? q1 - p1 : p2 - q2;
  return kl_part(p1, q1, p.log_first - q.log_first) + kl_part(p2, q2, p.log_second - q.log_second);
}

}  // namespace retort
