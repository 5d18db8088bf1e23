// The arithmetic of ctkd.h, per row.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// loss = weight tau^2 KL(p || q), its gradients with respect to the student's logits and to theta.
template <class T>
struct LearnedTemperatureKlRow {
  static constexpr const char* name = "learned_temperature_kl";
  const T* student;
  const T* teacher;
  const T* theta;  // one element
  T* loss;
  T* gradient;        // may be null
  T* theta_gradient;  // one element a row; may be null
  int64_t n;
  T weight;

  int64_t scratch_bytes() const { return 2 * int64_t(lane_scratch_bytes(size_t(n) * sizeof(T))); }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    T* p = lanes.template scratch<T>(n);
    T* q = lanes.template scratch<T>(n);
    const T sigmoid = T(1) / (T(1) + exponential(-theta[0]));
    const T tau = T(1) + T(20) * sigmoid, it = T(1) / tau, w = weight;
    const T s_top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(n, [=](int64_t i) { return t[i]; });
    const T q_total =
        lanes.template sum<T>(n, [=](int64_t i) { return q[i] = exponential((s[i] - s_top) * it); });
    const T p_total =
        lanes.template sum<T>(n, [=](int64_t i) { return p[i] = exponential((t[i] - t_top) * it); });
    const T q_scale = T(1) / q_total, p_scale = T(1) / p_total;
    const T log_ratio = logarithm(p_total) - logarithm(q_total);
    lanes.each(n, [=](int64_t i) {
      q[i] *= q_scale;
      p[i] *= p_scale;
    });
    lanes.sync();
    const T kl = lanes.template sum<T>(n, [=](int64_t i) {
      return kl_part(p[i], q[i], ((t[i] - t_top) - (s[i] - s_top)) * it - log_ratio);
    });
    if (lanes.leader()) loss[row] = w * tau * tau * kl;
    if (gradient) {
      T* out = gradient + row * n;
      lanes.each(n, [=](int64_t i) { out[i] = w * tau * (q[i] - p[i]); });
    }
    if (theta_gradient) {
      // d(tau^2 KL)/dtau = 2 tau KL - Cov_p(t, t - s) / tau + E_p s - E_q s
      const T mean_t = lanes.template sum<T>(n, [=](int64_t i) { return p[i] * (t[i] - t_top); });
      const T covariance = lanes.template sum<T>(
          n, [=](int64_t i) { return p[i] * ((t[i] - t_top) - mean_t) * ((t[i] - t_top) - (s[i] - s_top)); });
      const T shift = lanes.template sum<T>(n, [=](int64_t i) { return (p[i] - q[i]) * (s[i] - s_top); });
      const T d_tau = T(2) * tau * kl - covariance * it + shift;
      if (lanes.leader()) theta_gradient[row] = w * d_tau * T(20) * sigmoid * (T(1) - sigmoid);
    }
  }
};

}  // namespace retort
