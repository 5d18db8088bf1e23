// PCD for one sample in one pass: ranking, all stages, loss and gradient. The formulas are pcd.h's; written
// on the groups themselves, gathered into ranked order, without masks.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

template <class T>
struct PcdRow {
  static constexpr const char* name = "pcd";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;              // with respect to the student's logits; may be null
  int64_t n;                // classes
  int first_stage, stages;  // partitions into first_stage to stages groups
  bool ranked;
  bool cosine;
  T inverse_temperature;
  T weight;  // of each lambda KL

  int64_t scratch_bytes() const {
    return int64_t(lane_scratch_bytes(size_t(n) * sizeof(int32_t)) +
                   5 * lane_scratch_bytes(size_t(n) * sizeof(T)) + rank_scratch_bytes<T>(n));
  }

  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* zs = student + row * n;
    const T* zt = teacher + row * n;
    int32_t* order = lanes.template scratch<int32_t>(n);
    Group group{lanes.template scratch<T>(n), lanes.template scratch<T>(n), lanes.template scratch<T>(n),
                lanes.template scratch<T>(n), lanes.template scratch<T>(n)};

    if (ranked) {
      T* gap = group.p;
      lanes.each(n, [=](int64_t i) { gap[i] = absolute(zt[i] - zs[i]); });
      lanes.sync();
      lanes.rank_descending(n, gap, order);
    } else {
      lanes.each(n, [=](int64_t i) { order[i] = int32_t(i); });
    }
    lanes.sync();
    lanes.each(n, [=](int64_t r) {
      group.s[r] = zs[order[r]];
      group.t[r] = zt[order[r]];
      group.d[r] = T(0);
    });
    lanes.sync();

    T total = T(0);
    for (int64_t k = first_stage; k <= stages; ++k) {
      const int64_t size = n / k;
      for (int64_t g = 0; g < k; ++g) {
        const int64_t first = g * size;
        total += distil(lanes, group.from(first), g + 1 < k ? size : n - first);
        lanes.sync();  // the next group's lanes take up where these left off
      }
    }
    if (lanes.leader()) loss[row] = weight * total;
    if (gradient) {
      T* out = gradient + row * n;
      const T scale = weight * inverse_temperature;
      lanes.each(n, [=](int64_t r) { out[order[r]] = scale * group.d[r]; });
    }
  }

 private:
  // A run of the ranked classes: logits of student and teacher, the gradient so far, room for q and p.
  struct Group {
    T *s, *t, *d, *q, *p;
    RETORT_HD Group from(int64_t first) const {
      return {s + first, t + first, d + first, q + first, p + first};
    }
  };

  // Returns lambda KL(p || q) over a group of m classes and adds its gradient with respect to s / tau to d.
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE T distil(Lanes& lanes, const Group& group, int64_t m) const {
    const T *s = group.s, *t = group.t;
    T *d = group.d, *q = group.q, *p = group.p;
    const T it = inverse_temperature;
    const T s_top = lanes.template max<T>(m, [=](int64_t i) { return s[i]; });
    const T t_top = lanes.template max<T>(m, [=](int64_t i) { return t[i]; });
    const T q_total =
        lanes.template sum<T>(m, [=](int64_t i) { return q[i] = exponential((s[i] - s_top) * it); });
    const T p_total =
        lanes.template sum<T>(m, [=](int64_t i) { return p[i] = exponential((t[i] - t_top) * it); });
    const T q_scale = T(1) / q_total, p_scale = T(1) / p_total;
    const T log_ratio = logarithm(p_total) - logarithm(q_total);
    lanes.each(m, [=](int64_t i) {
      q[i] *= q_scale;
      p[i] *= p_scale;
    });
    lanes.sync();
    // The logarithms come from the logits, so that a probability of 0 does no harm.
    const T kl = lanes.template sum<T>(m, [=](int64_t i) {
      return kl_part(p[i], q[i], ((t[i] - t_top) - (s[i] - s_top)) * it - log_ratio);
    });
    if (!cosine) {
      lanes.each(m, [=](int64_t i) { d[i] += q[i] - p[i]; });
      return kl;
    }
    // With u = p/|p| - q/|q|: lambda = 1 - cos(p, q) = |u|^2 / 2, which keeps its digits where p and q agree,
    // and so does u taken from their differences.
    const T q_unit = T(1) / square_root(lanes.template sum<T>(m, [=](int64_t i) { return q[i] * q[i]; }));
    const T p_unit = T(1) / square_root(lanes.template sum<T>(m, [=](int64_t i) { return p[i] * p[i]; }));
    const T unit_gap = p_unit - q_unit;
    const T lambda = T(0.5) * lanes.template sum<T>(m, [=](int64_t i) {
      const T u = (p[i] - q[i]) * p_unit + q[i] * unit_gap;
      return u * u;
    });
    // d(lambda KL) = lambda (q - p) + KL q (h - q.h) with h = dlambda/dq = -(u + lambda q/|q|) / |q|, and q.h
    // = 0, since lambda does not depend on the length of q.
    lanes.each(m, [=](int64_t i) {
      const T u = (p[i] - q[i]) * p_unit + q[i] * unit_gap;
      const T q_hat = q[i] * q_unit;
      d[i] += lambda * (q[i] - p[i]) - kl * q_hat * (u + lambda * q_hat);
    });
    return lambda * kl;
  }
};

}  // namespace retort
