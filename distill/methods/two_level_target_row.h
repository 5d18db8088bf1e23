// The arithmetic of two_level_target.h, per row.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

template <class T>
struct TwoLevelTargetRow {
  static constexpr const char* name = "two_level_target";
  const T* logits;
  const int32_t* labels;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T on, off, log_on, log_off;
  bool divergence;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* z = logits + row * n;
    const int32_t y = labels[row];
    const T t_on = on, t_off = off, l_on = log_on, l_off = log_off, w = weight;
    const T top = lanes.template max<T>(n, [=](int64_t i) { return z[i]; });
    const T log_total =
        logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential(z[i] - top); }));
    T value;
    if (divergence) {
      value = lanes.template sum<T>(n, [=](int64_t i) {
        const T log_q = (z[i] - top) - log_total;
        const bool own = int32_t(i) == y;
        return kl_part(own ? t_on : t_off, exponential(log_q), (own ? l_on : l_off) - log_q);
      });
    } else {
      value = lanes.template sum<T>(
          n, [=](int64_t i) { return (int32_t(i) == y ? t_on : t_off) * (log_total - (z[i] - top)); });
    }
    if (lanes.leader()) loss[row] = w * value;
    if (!gradient) return;
    T* out = gradient + row * n;
    lanes.each(n, [=](int64_t i) {
      out[i] = w * (exponential((z[i] - top) - log_total) - (int32_t(i) == y ? t_on : t_off));
    });
  }
};

}  // namespace retort
