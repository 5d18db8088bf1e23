// The arithmetic of target_split.h, per row. A class outside a subset contributes nothing: it is left out of
// each sum and maximum, not given a large negative logit.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

template <class T>
struct BinaryKlRow {
  static constexpr const char* name = "binary_kl";
  const T* student;
  const T* teacher;
  const int32_t* labels;
  T* loss;
  T* gradient;   // may be null
  int64_t n;     // at least 2
  bool largest;  // the teacher's largest class instead of the label
  T inverse_temperature;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    const int32_t y = labels[row];
    const int32_t k = largest ? int32_t(lanes.first_max(n, [=](int64_t i) { return t[i]; })) : y;
    const T it = inverse_temperature, w = weight;
    const Split of_teacher = split(lanes, t, k), of_student = split(lanes, s, y);
    const T a = exponential(of_teacher.log_own), b = exponential(of_student.log_own);
    const T not_a = exponential(of_teacher.log_others), not_b = exponential(of_student.log_others);
    if (lanes.leader()) {
      loss[row] = w * (kl_part(a, b, of_teacher.log_own - of_student.log_own) +
                       kl_part(not_a, not_b, of_teacher.log_others - of_student.log_others));
    }
    if (gradient) {
      // b - a for the labelled class; the others share the opposite in proportion to their probabilities. Of
      // b - a and (1 - a) - (1 - b) the difference of the smaller numbers is the more exact.
      T* out = gradient + row * n;
      const T step = w * it * (b + a < not_b + not_a ? b - a : not_a - not_b);
      const T top = of_student.top_others, scale = step / of_student.total_others;
      lanes.each(
          n, [=](int64_t i) { out[i] = int32_t(i) == y ? step : -scale * exponential((s[i] - top) * it); });
    }
  }

 private:
  // The probability of one class and of all others, as logarithms; total_others = sum over the others of
  // exp((z - top_others) / temperature).
  struct Split {
    T log_own, log_others, top_others, total_others;
  };
  template <class Lanes>
  RETORT_HD Split split(Lanes& lanes, const T* z, int32_t own) const {
    const T it = inverse_temperature;
    const T minus_infinity = -T(__builtin_huge_val());
    const T top =
        lanes.template max<T>(n, [=](int64_t i) { return int32_t(i) == own ? minus_infinity : z[i]; });
    const T total = lanes.template sum<T>(
        n, [=](int64_t i) { return int32_t(i) == own ? T(0) : exponential((z[i] - top) * it); });
    // Two-class log softmax of the own logit and the others' logsumexp.
    const T gap = (z[own] - top) * it - logarithm(total);
    const T log_sum = log_one_plus(exponential(-absolute(gap)));
    return gap > T(0) ? Split{-log_sum, -gap - log_sum, top, total}
                      : Split{gap - log_sum, -log_sum, top, total};
  }
};

template <class T>
struct SubsetKlRow {
  static constexpr const char* name = "subset_kl";
  const T* student;
  const T* teacher;
  const int32_t* labels;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  bool below_label;
  bool all;
  bool cross_entropy;
  T inverse_temperature;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* t = teacher + row * n;
    const int32_t y = labels[row];
    const T limit = t[y];
    if (below_label)
      distil(lanes, row, [=](int64_t i) { return t[i] < limit; });
    else if (all)
      distil(lanes, row, [=](int64_t) { return true; });
    else
      distil(lanes, row, [=](int64_t i) { return int32_t(i) != y; });
  }

 private:
  template <class Lanes, class Member>
  RETORT_HD void distil(Lanes& lanes, int64_t row, Member member) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    T* out = gradient ? gradient + row * n : nullptr;
    const T count = lanes.template sum<T>(n, [=](int64_t i) { return T(member(i) ? 1 : 0); });
    if (count < T(2)) {
      if (lanes.leader()) loss[row] = T(0);
      if (out) lanes.each(n, [=](int64_t i) { out[i] = T(0); });
      return;
    }
    const T it = inverse_temperature, w = weight;
    const T minus_infinity = -T(__builtin_huge_val());
    const T s_top = lanes.template max<T>(n, [=](int64_t i) { return member(i) ? s[i] : minus_infinity; });
    const T t_top = lanes.template max<T>(n, [=](int64_t i) { return member(i) ? t[i] : minus_infinity; });
    const T s_log = logarithm(lanes.template sum<T>(
        n, [=](int64_t i) { return member(i) ? exponential((s[i] - s_top) * it) : T(0); }));
    const T t_log = logarithm(lanes.template sum<T>(
        n, [=](int64_t i) { return member(i) ? exponential((t[i] - t_top) * it) : T(0); }));
    T value = lanes.template sum<T>(n, [=](int64_t i) {
      const T log_p = (t[i] - t_top) * it - t_log;
      const T log_q = (s[i] - s_top) * it - s_log;
      const T part = kl_part(exponential(log_p), exponential(log_q), log_p - log_q);
      return member(i) ? part : T(0);
    });
    if (cross_entropy) {  // the divergence plus the teacher's entropy
      value -= lanes.template sum<T>(n, [=](int64_t i) {
        const T log_p = (t[i] - t_top) * it - t_log;
        const T part = exponential(log_p) * log_p;
        return member(i) ? part : T(0);
      });
    }
    if (lanes.leader()) loss[row] = w * value;
    if (out) {
      lanes.each(n, [=](int64_t i) {
        const T q = exponential((s[i] - s_top) * it - s_log), p = exponential((t[i] - t_top) * it - t_log);
        out[i] = member(i) ? w * it * (q - p) : T(0);
      });
    }
  }
};

}  // namespace retort
