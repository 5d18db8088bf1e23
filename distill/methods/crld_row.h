// The row kernel of crld.cpp.
#pragma once
#include "engine/kernels/softened_pair.h"

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
    const auto pair = softened_pair<T>(lanes, student + row * n, teacher + row * n, n, it, it);
    const T kl = lanes.template sum<T>(n, [=](int64_t i) { return pair.kl(i); });
    if (lanes.leader()) loss[row] = w * kl;
    if (!out) return;
    lanes.each(n, [=](int64_t i) { out[i] = w * it * pair.slope(i); });
  }
};

}  // namespace retort
