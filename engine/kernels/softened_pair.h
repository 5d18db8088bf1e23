// Two softmaxes of one row, and the divergence of one from the other, as row kernels need them: logarithms
// first, so that nothing underflows.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// q = softmax(s * s_scale), p = softmax(t * t_scale); a scale is 1 / temperature.
template <class T>
struct SoftenedPair {
  const T* s;
  const T* t;
  T s_scale, t_scale;
  T s_top, s_log, t_top, t_log;  // largest number; logarithm of sum exp((z - largest) * scale)

  RETORT_HD T log_q(int64_t i) const { return (s[i] - s_top) * s_scale - s_log; }
  RETORT_HD T log_p(int64_t i) const { return (t[i] - t_top) * t_scale - t_log; }
  // One class's part of KL(p || q), and of its derivative by s * s_scale: q - p.
  RETORT_HD T kl(int64_t i) const {
    return kl_part(exponential(log_p(i)), exponential(log_q(i)), log_p(i) - log_q(i));
  }
  RETORT_HD T slope(int64_t i) const { return exponential(log_q(i)) - exponential(log_p(i)); }
};

// Of the first n numbers at s and t, which stay where they are.
template <class T, class Lanes>
RETORT_HD SoftenedPair<T> softened_pair(Lanes& lanes, const T* s, const T* t, int64_t n, T s_scale, T t_scale) {
  const T s_top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
  const T t_top = lanes.template max<T>(n, [=](int64_t i) { return t[i]; });
  const T s_total = lanes.template sum<T>(n, [=](int64_t i) { return exponential((s[i] - s_top) * s_scale); });
  const T t_total = lanes.template sum<T>(n, [=](int64_t i) { return exponential((t[i] - t_top) * t_scale); });
  return {s, t, s_scale, t_scale, s_top, logarithm(s_total), t_top, logarithm(t_total)};
}

}  // namespace retort
