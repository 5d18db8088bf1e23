// A step's loss in one pass over a sample's logits: cross-entropy, up to two terms of a method, their sum,
// its gradient, and whether the answer is right. What each part is, its own row kernel says; here they follow
// each other.
#pragma once
#include "engine/kernels/rows.h"

namespace retort {

// In the place of a term that a method does not have.
template <class T>
struct NoTerm {
  T* loss = nullptr;
  T* gradient = nullptr;
  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes&, int64_t) const {}
};

// gradient = seed (ce_weight dCE + term_scale (dfirst + dsecond)); each part's loss[row] is left multiplied
// by its weight, loss[row] is their sum.
template <class T, class First, class Second>
struct StepRow {
  static constexpr const char* name = "loss_and_gradient";
  CrossEntropyRow<T> cross_entropy;  // loss null: there is none
  First first;
  Second second;
  TopKRow<T> top;
  T* loss;
  T* gradient;
  T ce_weight;
  const double* term_scale;  // in device memory; null: 1
  const double* seed;        // the same

  int64_t scratch_bytes() const {
    const int64_t a = first.scratch_bytes(), b = second.scratch_bytes();
    return a > b ? a : b;
  }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    if (cross_entropy.loss) part(lanes, cross_entropy, row);
    part(lanes, first, row);
    part(lanes, second, row);
    part(lanes, top, row);
    const T scale = term_scale ? T(*term_scale) : T(1), whole = seed ? T(*seed) : T(1), weight = ce_weight;
    if (lanes.leader()) {
      T sum = T(0);
      if (cross_entropy.loss) sum += cross_entropy.loss[row] *= weight;
      if (first.loss) sum += first.loss[row] *= scale;
      if (second.loss) sum += second.loss[row] *= scale;
      loss[row] = sum;
    }
    const int64_t at = row * top.n;
    const T *ce = cross_entropy.loss ? cross_entropy.gradient + at : nullptr,
            *a = first.gradient ? first.gradient + at : nullptr,
            *b = second.gradient ? second.gradient + at : nullptr;
    T* to = gradient + at;
    lanes.each(top.n, [=](int64_t i) {
      T sum = T(0);
      if (b) sum += b[i] * scale;
      if (a) sum += a[i] * scale;
      if (ce) sum += ce[i] * weight;
      to[i] = sum * whole;
    });
  }

 private:
  // Each part begins with all of the scratch.
  template <class Lanes, class Part>
  static RETORT_HD void part(const Lanes& lanes, const Part& kernel, int64_t row) {
    Lanes own = lanes;
    kernel(own, row);
    own.sync();
  }
};

}  // namespace retort
