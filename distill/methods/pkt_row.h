// The row kernel of pkt.h.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// A row holds one image's cosines with all n of the batch. p and q are teacher's and student's (cosine + 1) /
// 2, divided by their sums; loss = weight sum of p log((p + e) / (q + e)), e = 1e-7, and its gradient by the
// student's cosines.
template <class T>
struct NeighbourhoodRow {
  static constexpr const char* name = "neighbourhood";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    const T e = T(1e-7), w = weight;
    const T s_scale = T(1) / lanes.template sum<T>(n, [=](int64_t i) { return s[i] + T(1); });
    const T t_scale = T(1) / lanes.template sum<T>(n, [=](int64_t i) { return t[i] + T(1); });
    // With P = p + e and Q = q + e the sum is that of kl_part(P, Q) - e log(P / Q), since p and q both sum to
    // 1: no large parts cancel, so that f32 keeps its digits where both nearly agree.
    const T value = lanes.template sum<T>(n, [=](int64_t i) {
      const T p = (t[i] + T(1)) * t_scale + e, q = (s[i] + T(1)) * s_scale + e;
      const T x = log_one_plus((p - q) / q);
      return kl_part(p, q, x) - e * x;
    });
    if (lanes.leader()) loss[row] = w * value;
    if (!gradient) return;
    T* out = gradient + row * n;
    // dL/dq = -p / (q + e), here plus 1, which the division by the sum takes out again.
    const auto slope = [=](int64_t i) {
      const T p = (t[i] + T(1)) * t_scale, q = (s[i] + T(1)) * s_scale;
      return (q - p + e) / (q + e);
    };
    const T along = lanes.template sum<T>(n, [=](int64_t i) { return slope(i) * (s[i] + T(1)) * s_scale; });
    lanes.each(n, [=](int64_t i) { out[i] = w * s_scale * (slope(i) - along); });
  }
};

}  // namespace retort
