// The row kernel of gdkd.cpp.
#pragma once
#include "distill/methods/two_class.h"
#include "engine/kernels/softened_pair.h"

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
    const Pair of_top = pair_of(lanes, s, t, m);
    T total = top * divergence(lanes, of_top, d, m, top);
    if (m < n) {
      const Pair of_rest = pair_of(lanes, s + m, t + m, n - m);
      total += rest * divergence(lanes, of_rest, d + m, n - m, rest);
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
          d[r] += (r < m ? step : -step) * exponential(r < m ? of_top.log_q(r) : of_rest.log_q(r - m));
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
  using Pair = SoftenedPair<T>;
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE Pair pair_of(Lanes& lanes, const T* s, const T* t, int64_t m) const {
    return softened_pair<T>(lanes, s, t, m, inverse_temperature, inverse_temperature);
  }

  // Returns KL(p || q) within the set and sets d to weight (q - p).
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE T divergence(Lanes& lanes, const Pair& of, T* d, int64_t m, T weight) const {
    const Pair pair = of;
    const T kl = lanes.template sum<T>(m, [=](int64_t i) { return pair.kl(i); });
    lanes.each(m, [=](int64_t i) { d[i] = weight * pair.slope(i); });
    return kl;
  }
};

}  // namespace retort
