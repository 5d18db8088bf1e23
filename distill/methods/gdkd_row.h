// The row kernel of gdkd.cpp.
#pragma once
#include "distill/methods/two_class.h"
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// loss = mass KL of (probability of the teacher's k largest classes, of the rest) + top KL within those k +
// rest KL within the others, all at one temperature. With k of n or more classes only `top` is left.
template <class T>
struct TopRestKlRow {
  static constexpr const char* name = "top_rest_kl";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  int64_t k;
  T inverse_temperature;
  T mass, top, rest;  // weights

  int64_t scratch_bytes() const {
    return int64_t(lane_scratch_bytes(size_t(n) * sizeof(int32_t)) +
                   3 * lane_scratch_bytes(size_t(n) * sizeof(T)) + rank_scratch_bytes<T>(n));
  }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* zs = student + row * n;
    const T* zt = teacher + row * n;
    int32_t* order = lanes.template scratch<int32_t>(n);
    T* s = lanes.template scratch<T>(n);
    T* t = lanes.template scratch<T>(n);
    T* d = lanes.template scratch<T>(n);
    lanes.rank_descending(n, zt, order);
    lanes.sync();
    lanes.each(n, [=](int64_t r) {
      s[r] = zs[order[r]];
      t[r] = zt[order[r]];
    });
    lanes.sync();

    const int64_t m = k < n ? k : n;
    const Softmaxes of_top = softmaxes(lanes, s, t, m);
    T total = top * divergence(lanes, of_top, s, t, d, m, top);
    if (m < n) {
      const Softmaxes of_rest = softmaxes(lanes, s + m, t + m, n - m);
      total += rest * divergence(lanes, of_rest, s + m, t + m, d + m, n - m, rest);
      if (mass > T(0)) {
        const T it = inverse_temperature;
        const TwoClass<T> q =
            two_class<T>((of_top.s_top - of_rest.s_top) * it + of_top.s_log - of_rest.s_log);
        const TwoClass<T> p =
            two_class<T>((of_top.t_top - of_rest.t_top) * it + of_top.t_log - of_rest.t_log);
        T step;
        total += mass * two_class_kl(p, q, &step);
        step *= mass;
        lanes.sync();
        lanes.each(n, [=](int64_t r) {
          const Softmaxes& half = r < m ? of_top : of_rest;
          d[r] += (r < m ? step : -step) * exponential((s[r] - half.s_top) * it - half.s_log);
        });
      }
    }
    if (lanes.leader()) loss[row] = total;
    if (!gradient) return;
    lanes.sync();
    T* out = gradient + row * n;
    const T it = inverse_temperature;
    lanes.each(n, [=](int64_t r) { out[order[r]] = it * d[r]; });
  }

 private:
  // Largest logits of a set and the logarithms of sum exp((z - largest) / temperature).
  struct Softmaxes {
    T s_top, s_log, t_top, t_log;
  };
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE Softmaxes softmaxes(Lanes& lanes, const T* s, const T* t, int64_t m) const {
    const T it = inverse_temperature;
    const T s_top = lanes.template max<T>(m, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(m, [=](int64_t i) { return t[i]; });
    const T s_total = lanes.template sum<T>(m, [=](int64_t i) { return exponential((s[i] - s_top) * it); });
    const T t_total = lanes.template sum<T>(m, [=](int64_t i) { return exponential((t[i] - t_top) * it); });
    return {s_top, logarithm(s_total), t_top, logarithm(t_total)};
  }

  // Returns KL(p || q) within the set and sets d to weight (q - p).
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE T divergence(Lanes& lanes, const Softmaxes& of, const T* s, const T* t, T* d,
                                     int64_t m, T weight) const {
    const T it = inverse_temperature;
    const Softmaxes z = of;
    const T kl = lanes.template sum<T>(m, [=](int64_t i) {
      const T log_p = (t[i] - z.t_top) * it - z.t_log, log_q = (s[i] - z.s_top) * it - z.s_log;
      return kl_part(exponential(log_p), exponential(log_q), log_p - log_q);
    });
    lanes.each(m, [=](int64_t i) {
      d[i] = weight *
             (exponential((s[i] - z.s_top) * it - z.s_log) - exponential((t[i] - z.t_top) * it - z.t_log));
    });
    return kl;
  }
};

}  // namespace retort
