// The row kernel of crld.cpp.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// loss = weight KL(p || q), p = softmax(teacher / temperature), q = softmax(student / temperature), where the
// largest probability of softmax(gate) is at least the threshold; else 0.
template <class T>
struct GatedKlRow {
  static constexpr const char* name = "gated_kl";
  const T* student;
  const T* teacher;
  const T* gate;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T threshold;
  T inverse_temperature;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    const T* g = gate + row * n;
    T* out = gradient ? gradient + row * n : nullptr;
    const T g_top = lanes.template max<T>(n, [=](int64_t i) { return g[i]; });
    const T g_total = lanes.template sum<T>(n, [=](int64_t i) { return exponential(g[i] - g_top); });
    if (T(1) / g_total < threshold) {
      if (lanes.leader()) loss[row] = T(0);
      if (out) lanes.each(n, [=](int64_t i) { out[i] = T(0); });
      return;
    }
    const T it = inverse_temperature, w = weight;
    const T s_top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(n, [=](int64_t i) { return t[i]; });
    const T s_log =
        logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential((s[i] - s_top) * it); }));
    const T t_log =
        logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential((t[i] - t_top) * it); }));
    const T kl = lanes.template sum<T>(n, [=](int64_t i) {
      const T log_p = (t[i] - t_top) * it - t_log, log_q = (s[i] - s_top) * it - s_log;
      return kl_part(exponential(log_p), exponential(log_q), log_p - log_q);
    });
    if (lanes.leader()) loss[row] = w * kl;
    if (!out) return;
    lanes.each(n, [=](int64_t i) {
      out[i] = w * it * (exponential((s[i] - s_top) * it - s_log) - exponential((t[i] - t_top) * it - t_log));
    });
  }
};

}  // namespace retort
