// The row kernel of ofd.h.
#pragma once
#include "engine/kernels/lanes.h"

namespace retort {

template <class T>
struct PartialL2Row {
  static constexpr const char* name = "partial_l2";
  const T* x;
  const T* target;
  const T* margins;  // n
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* value = x + row * n;
    const T* t = target + row * n;
    const T* m = margins;
    const T w = weight;
    // How far x is from where it should be, or 0. A NaN anywhere reaches the loss.
    const auto gap = [=](int64_t i) {
      const T bound = t[i] <= T(0) && !(m[i] <= t[i]) ? m[i] : t[i];
      const T d = value[i] - bound;
      return t[i] <= T(0) && d <= T(0) ? T(0) : d;
    };
    const T total = lanes.template sum<T>(n, [=](int64_t i) { return gap(i) * gap(i); });
    if (lanes.leader()) loss[row] = w * total;
    if (!gradient) return;
    T* out = gradient + row * n;
    lanes.each(n, [=](int64_t i) { out[i] = T(2) * w * gap(i); });
  }
};

}  // namespace retort
