// 1 - cos(p, l) per row, p = softmax(teacher / temperature), l = log softmax(student / temperature), and its
// gradient with respect to the student's logits.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

template <class T>
struct LogCosineRow {
  static constexpr const char* name = "log_cosine";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T inverse_temperature;
  T weight;

  int64_t scratch_bytes() const { return 2 * int64_t(lane_scratch_bytes(size_t(n) * sizeof(T))); }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    T* p = lanes.template scratch<T>(n);  // up to a factor, which the cosine does not see
    T* l = lanes.template scratch<T>(n);
    const T it = inverse_temperature, w = weight;
    const T s_top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(n, [=](int64_t i) { return t[i]; });
    const T s_log =
        logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential((s[i] - s_top) * it); }));
    lanes.each(n, [=](int64_t i) {
      p[i] = exponential((t[i] - t_top) * it);
      l[i] = (s[i] - s_top) * it - s_log;
    });
    lanes.sync();
    const T p_norm = square_root(lanes.template sum<T>(n, [=](int64_t i) { return p[i] * p[i]; }));
    const T l_norm = square_root(lanes.template sum<T>(n, [=](int64_t i) { return l[i] * l[i]; }));
    // l is zero for a single class only; the cosine with it counts as 0.
    const T l_unit = l_norm > T(0) ? T(1) / l_norm : T(0), p_unit = T(1) / p_norm;
    const T cosine = p_unit * l_unit * lanes.template sum<T>(n, [=](int64_t i) { return p[i] * l[i]; });
    if (lanes.leader()) loss[row] = w * (T(1) - cosine);
    if (!gradient) return;
    // h = d(1 - cos)/dl = -(p/|p| - cos l/|l|) / |l|; through the log softmax: (h - q sum h) / temperature.
    T* out = gradient + row * n;
    const T h_total = lanes.template sum<T>(
        n, [=](int64_t i) { return -(p[i] * p_unit - cosine * l[i] * l_unit) * l_unit; });
    lanes.each(n, [=](int64_t i) {
      const T h = -(p[i] * p_unit - cosine * l[i] * l_unit) * l_unit;
      out[i] = w * it * (h - exponential(l[i]) * h_total);
    });
  }
};

}  // namespace retort
