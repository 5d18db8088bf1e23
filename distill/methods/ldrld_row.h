// The row kernel of ldrld.cpp.
#pragma once
#include "distill/methods/two_class.h"
#include "engine/kernels/softened_pair.h"

namespace retort {

// T: the student's k largest classes, sorted (the lower class first at a tie), constant.
// loss = local [sum over i < j <= k of a_ij KL on {T_i, T_j} + KL on T] / (k (k - 1) / 2 + 1) + rest KL on
// the others, a_ij = 2 exp(-0.05 (i + j)) / (1.5 + j - i), ranks i and j from 1, softmaxes over the named
// classes only.
template <class T>
struct LocalRelationsRow {
  static constexpr const char* name = "local_relations";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  int64_t k;
  T inverse_temperature;
  T local, rest;  // weights

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
    lanes.rank_descending(n, zs, order);
    lanes.sync();
    lanes.each(n, [=](int64_t r) {
      s[r] = zs[order[r]];
      t[r] = zt[order[r]];
    });
    lanes.sync();

    const int64_t m = k < n ? k : n;
    const T each = local / T(m * (m - 1) / 2 + 1);
    T total = T(0);
    total += each * divergence(lanes, s, t, d, m, each);
    if (m < n) total += rest * divergence(lanes, s + m, t + m, d + m, n - m, rest);
    if (local > T(0)) {
      lanes.sync();
      total += each * pairs(lanes, s, t, d, m, each);
    }
    if (lanes.leader()) loss[row] = total;
    if (!gradient) return;
    lanes.sync();
    T* out = gradient + row * n;
    const T it = inverse_temperature;
    lanes.each(n, [=](int64_t r) { out[order[r]] = it * d[r]; });
  }

 private:
  // Returns KL(p || q) within a set of m classes and sets d to weight (q - p).
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE T divergence(Lanes& lanes, const T* s, const T* t, T* d, int64_t m, T weight) const {
    const T it = inverse_temperature;
    const auto pair = softened_pair<T>(lanes, s, t, m, it, it);
    lanes.each(m, [=](int64_t i) { d[i] = weight * pair.slope(i); });
    return lanes.template sum<T>(m, [=](int64_t i) { return pair.kl(i); });
  }

  // The pairs' weighted divergences; their gradient is added to d. A lane owns a class, so that each pair is
  // met twice: once for its value, by its better class, and by both for the gradient.
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE T pairs(Lanes& lanes, const T* s, const T* t, T* d, int64_t m, T weight) const {
    const T it = inverse_temperature;
    return lanes.template sum<T>(m, [=](int64_t i) {
      T value = T(0), slope = T(0);
      for (int64_t j = 0; j < m; ++j) {
        if (j == i) continue;
        const int64_t distance = i < j ? j - i : i - j;
        const T a = T(2) * exponential(T(-0.05) * T(i + j + 2)) / (T(1.5) + T(distance));
        T step;
        const T kl = two_class_kl(two_class<T>((t[i] - t[j]) * it), two_class<T>((s[i] - s[j]) * it), &step);
        if (i < j) value += a * kl;
        slope += a * step;
      }
      d[i] += weight * slope;
      return value;
    });
  }
};

}  // namespace retort
