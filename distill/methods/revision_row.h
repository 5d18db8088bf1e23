// The row kernels of revision.cpp.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// right[row] = 1 where the teacher's largest logit (the first at a tie) is the label's, else 0.
template <class T>
struct TeacherIsRightRow {
  static constexpr const char* name = "teacher_is_right";
  const T* teacher;
  const int32_t* labels;
  T* right;
  int64_t n;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* t = teacher + row * n;
    const int64_t k = lanes.first_max(n, [=](int64_t i) { return t[i]; });
    if (lanes.leader()) right[row] = T(int32_t(k) == labels[row] ? 1 : 0);
  }
};

// One part of the loss, divided by the number of the samples that it is a mean over:
//   label  samples with a right teacher: -log softmax(s)_y
//   logit  the same samples: mean over classes of (s - t)^2
//   wrong  the others: mean over classes of (softmax(s) - g)^2, g = b softmax(t) + (1 - b) onehot(y),
//          b = lambda / (max softmax(t) - softmax(t)_y + 1)
template <class T>
struct RevisionRow {
  static constexpr const char* name = "revision";
  enum Part { label, logit, wrong };
  const T* student;
  const T* teacher;
  const int32_t* labels;
  const T* right;  // one a row
  const T* count;  // how many of them are 1; one element
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  int64_t rows;
  Part part;
  T lambda;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const bool is_right = right[row] > T(0.5);
    T* out = gradient ? gradient + row * n : nullptr;
    if (is_right == (part == wrong)) {
      if (lanes.leader()) loss[row] = T(0);
      if (out) lanes.each(n, [=](int64_t i) { out[i] = T(0); });
      return;
    }
    const T w = weight / (part == wrong ? T(rows) - count[0] : count[0]);
    if (part == label)
      of_label(lanes, row, w, out);
    else if (part == logit)
      of_logits(lanes, row, w, out);
    else
      of_revised(lanes, row, w, out);
  }

 private:
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE void of_label(Lanes& lanes, int64_t row, T w, T* out) const {
    const T* s = student + row * n;
    const int32_t y = labels[row];
    const T top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
    const T log_total =
        logarithm(lanes.template sum<T>(n, [=](int64_t i) { return exponential(s[i] - top); }));
    if (lanes.leader()) loss[row] = w * (log_total - (s[y] - top));
    if (out) {
      lanes.each(n, [=](int64_t i) {
        out[i] = w * (exponential((s[i] - top) - log_total) - T(int32_t(i) == y ? 1 : 0));
      });
    }
  }

  template <class Lanes>
  RETORT_HD_OUT_OF_LINE void of_logits(Lanes& lanes, int64_t row, T w, T* out) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    const T each = w / T(n);
    const T total = lanes.template sum<T>(n, [=](int64_t i) { return (s[i] - t[i]) * (s[i] - t[i]); });
    if (lanes.leader()) loss[row] = each * total;
    if (out) lanes.each(n, [=](int64_t i) { out[i] = T(2) * each * (s[i] - t[i]); });
  }

  template <class Lanes>
  RETORT_HD_OUT_OF_LINE void of_revised(Lanes& lanes, int64_t row, T w, T* out) const {
    const T* s = student + row * n;
    const T* t = teacher + row * n;
    const int32_t y = labels[row];
    const T s_top = lanes.template max<T>(n, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(n, [=](int64_t i) { return t[i]; });
    const T q_scale = T(1) / lanes.template sum<T>(n, [=](int64_t i) { return exponential(s[i] - s_top); });
    const T p_scale = T(1) / lanes.template sum<T>(n, [=](int64_t i) { return exponential(t[i] - t_top); });
    const T b = lambda / (p_scale - exponential(t[y] - t_top) * p_scale + T(1));
    const auto gap = [=](int64_t i) {
      const T g = b * exponential(t[i] - t_top) * p_scale + (int32_t(i) == y ? T(1) - b : T(0));
      return exponential(s[i] - s_top) * q_scale - g;
    };
    const T each = w / T(n);
    const T total = lanes.template sum<T>(n, [=](int64_t i) { return gap(i) * gap(i); });
    if (lanes.leader()) loss[row] = each * total;
    if (!out) return;
    // dL/dq = 2 gap, through the softmax: q (2 gap - q . 2 gap).
    const T along =
        lanes.template sum<T>(n, [=](int64_t i) { return gap(i) * exponential(s[i] - s_top) * q_scale; });
    lanes.each(
        n, [=](int64_t i) { out[i] = T(2) * each * exponential(s[i] - s_top) * q_scale * (gap(i) - along); });
  }
};

}  // namespace retort
