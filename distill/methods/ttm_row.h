// The row kernel of ttm.cpp.
#pragma once
#include "engine/kernels/softened_pair.h"

namespace retort {

// loss = weight KL(p_g || q), p_g = softmax(gamma teacher), q = softmax(student); `weighted`: times the sum
// over classes of p^gamma, p = softmax(teacher).
template <class T>
struct PowerKlRow {
  static constexpr const char* name = "power_kl";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  bool weighted;
  T gamma;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* t = teacher + row * n;
    const T g = gamma;
    const auto pair = softened_pair<T>(lanes, student + row * n, t, n, T(1), g);
    T w = weight;
    if (weighted) {
      const T top = pair.t_top;
      const T plain = logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential(t[i] - top); }));
      w *= exponential(pair.t_log - g * plain);
    }
    const T kl = lanes.template sum<T>(n, [=](int64_t i) { return pair.kl(i); });
    if (lanes.leader()) loss[row] = w * kl;
    if (!gradient) return;
    T* out = gradient + row * n;
    lanes.each(n, [=](int64_t i) { out[i] = w * pair.slope(i); });
  }
};

}  // namespace retort
