// The row kernel of ttm.cpp.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

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
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    const T g = gamma;
    const T s_top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(n, [=](int64_t i) { return t[i]; });
    const T s_log = logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential(s[i] - s_top); }));
    const T t_log =
        logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential((t[i] - t_top) * g); }));
    T w = weight;
    if (weighted) {
      const T plain =
          logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential(t[i] - t_top); }));
      w *= exponential(t_log - g * plain);
    }
    const T kl = lanes.template sum<T>(n, [=](int64_t i) {
      const T log_p = (t[i] - t_top) * g - t_log, log_q = (s[i] - s_top) - s_log;
      return kl_part(exponential(log_p), exponential(log_q), log_p - log_q);
    });
    if (lanes.leader()) loss[row] = w * kl;
    if (!gradient) return;
    T* out = gradient + row * n;
    lanes.each(n, [=](int64_t i) {
      out[i] = w * (exponential((s[i] - s_top) - s_log) - exponential((t[i] - t_top) * g - t_log));
    });
  }
};

}  // namespace retort
