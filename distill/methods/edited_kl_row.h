// The arithmetic of edited_kl.h, per row.
#pragma once
#include "engine/kernels/softened_pair.h"

namespace retort {

template <class T>
struct EditedKlRow {
  static constexpr const char* name = "edited_kl";
  const T* student;
  const T* target;
  const int32_t* labels;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  bool raise;  // the label's logit by the largest one; false: these two change places
  T inverse_temperature;
  T weight;

  int64_t scratch_bytes() const { return int64_t(lane_scratch_bytes(size_t(n) * sizeof(T))); }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* from = target + row * n;
    T* t = lanes.template scratch<T>(n);
    const int32_t y = labels[row];
    const auto k = int32_t(lanes.first_max(n, [=](int64_t i) { return from[i]; }));
    const T of_label = raise ? from[y] + from[k] : from[k];
    const T of_largest = raise ? from[k] : from[y];
    lanes.each(n, [=](int64_t i) {
      t[i] = int32_t(i) == y ? of_label : int32_t(i) == k ? of_largest : from[i];
    });
    lanes.sync();

    const T it = inverse_temperature, w = weight;
    const auto pair = softened_pair<T>(lanes, student + row * n, t, n, it, it);
    const T kl = lanes.template sum<T>(n, [=](int64_t i) { return pair.kl(i); });
    if (lanes.leader()) loss[row] = w * kl;
    if (!gradient) return;
    T* out = gradient + row * n;
    lanes.each(n, [=](int64_t i) { out[i] = w * it * pair.slope(i); });
  }
};

}  // namespace retort
