// The row kernels of kdsvd.h; a row is a sample.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// Cyclic Jacobi: rotations of rows and columns p, q, each of which makes element p, q zero, until what is
// left beside the diagonal is rounding (Golub and Van Loan, Matrix Computations, section 8.5). The vectors of
// a matrix that is not finite are NaN.
template <class T>
struct JacobiRow {
  static constexpr const char* name = "jacobi";
  const T* matrices;  // d,d each; read only in full symmetry
  T* work;            // 2,d,d each
  T* values;          // d each
  T* vectors;         // d,d each
  int64_t d;

  int64_t scratch_bytes() const {
    return int64_t(lane_scratch_bytes(size_t(d) * sizeof(T)) +
                   lane_scratch_bytes(size_t(d) * sizeof(int32_t)) + rank_scratch_bytes<T>(d));
  }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    constexpr int most_sweeps = 30;
    constexpr T rounding = sizeof(T) == 4 ? T(5e-7) : T(1e-15);
    const int64_t n = d, size = n * n;
    const T* from = matrices + row * size;
    T* a = work + row * 2 * size;
    T* v = a + size;  // a row is what becomes an eigenvector
    lanes.each(size, [=](int64_t i) {
      a[i] = from[i];
      v[i] = T(i / n == i % n ? 1 : 0);
    });
    lanes.sync();
    const T total = lanes.template sum<T>(size, [=](int64_t i) { return a[i] * a[i]; });
    if (!(total - total == T(0))) {  // not finite: no sweep would run, and the identity would hide it
      lanes.each(size, [=](int64_t i) { v[i] = total - total; });
      lanes.sync();
    }
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
      const T beside =
          lanes.template sum<T>(size, [=](int64_t i) { return i / n == i % n ? T(0) : a[i] * a[i]; });
      if (!(beside > rounding * rounding * total)) break;
      for (int64_t p = 0; p + 1 < n; ++p) {
        for (int64_t q = p + 1; q < n; ++q) rotate(lanes, a, v, p, q);
      }
    }

    T* keys = lanes.template scratch<T>(n);
    int32_t* order = lanes.template scratch<int32_t>(n);
    lanes.each(n, [=](int64_t i) { keys[i] = a[i * n + i]; });
    lanes.sync();
    lanes.rank_descending(n, keys, order);
    lanes.sync();
    T* out = vectors + row * size;
    T* w = values + row * n;
    lanes.each(n, [=](int64_t r) { w[r] = keys[order[r]]; });
    for (int64_t r = 0; r < n; ++r) {
      const T* own = v + order[r] * n;
      const int64_t largest = lanes.first_max(n, [=](int64_t i) { return absolute(own[i]); });
      const T sign = own[largest] < T(0) ? T(-1) : T(1);
      lanes.each(n, [=](int64_t i) { out[r * n + i] = sign * own[i]; });
    }
  }

 private:
  template <class Lanes>
  RETORT_HD_OUT_OF_LINE void rotate(Lanes& lanes, T* a, T* v, int64_t p, int64_t q) const {
    const int64_t n = d;
    const T apq = a[p * n + q];
    if (apq == T(0)) return;
    // The smaller of the two angles.
    const T theta = (a[q * n + q] - a[p * n + p]) / (T(2) * apq);
    const T t = (theta < T(0) ? T(-1) : T(1)) / (absolute(theta) + square_root(theta * theta + T(1)));
    const T c = T(1) / square_root(t * t + T(1)), s = t * c;
    lanes.sync();  // every lane has read the elements before one is written
    lanes.each(n, [=](int64_t k) {
      const T x = a[p * n + k], y = a[q * n + k];
      a[p * n + k] = c * x - s * y;
      a[q * n + k] = s * x + c * y;
      const T f = v[p * n + k], g = v[q * n + k];
      v[p * n + k] = c * f - s * g;
      v[q * n + k] = s * f + c * g;
    });
    lanes.sync();
    lanes.each(n, [=](int64_t k) {
      const T x = a[k * n + p], y = a[k * n + q];
      a[k * n + p] = c * x - s * y;
      a[k * n + q] = s * x + c * y;
    });
    lanes.sync();
  }
};

// Of the first four vectors the one of largest |v . direction| (the first at a tie), times that product's
// sign.
template <class T>
struct NearestVectorRow {
  static constexpr const char* name = "nearest_vector";
  const T* vectors;    // d,d each
  const T* direction;  // d each
  T* nearest;          // d each
  T* signed_choice;    // one each: +-(1 + which)
  int64_t d;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t n = d;
    const T* all = vectors + row * n * n;
    const T* to = direction + row * n;
    int64_t best = 0;
    T largest = T(-1), sign = T(1);
    for (int64_t j = 0; j < (n < 4 ? n : 4); ++j) {
      const T dot = lanes.template sum<T>(n, [=](int64_t i) { return all[j * n + i] * to[i]; });
      if (absolute(dot) > largest) {
        largest = absolute(dot);
        best = j;
        sign = dot < T(0) ? T(-1) : T(1);
      }
    }
    T* out = nearest + row * n;
    lanes.each(n, [=](int64_t i) { out[i] = sign * all[best * n + i]; });
    if (lanes.leader()) signed_choice[row] = sign * T(best + 1);
  }
};

// With g = dL/dv_j: h = sum over m != j of (v_m . g) / (w_j - w_m) v_m, and dL/dA = h v_j'.
template <class T>
struct EigenvectorGradientRow {
  static constexpr const char* name = "eigenvector_gradient";
  const T* values;
  const T* vectors;
  const T* signed_choice;
  const T* dy;  // of the vector times its sign
  T* gradient;  // d,d each
  int64_t d;
  bool accumulate;

  int64_t scratch_bytes() const { return int64_t(lane_scratch_bytes(size_t(d) * sizeof(T))); }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t n = d;
    const T* w = values + row * n;
    const T* v = vectors + row * n * n;
    const T* g = dy + row * n;
    T* h = lanes.template scratch<T>(n);
    const T choice = signed_choice[row], sign = choice < T(0) ? T(-1) : T(1);
    const auto j = int64_t(sign * choice) - 1;
    lanes.each(n, [=](int64_t i) { h[i] = T(0); });
    for (int64_t m = 0; m < n; ++m) {
      const T gap = w[j] - w[m];
      if (m == j || !(absolute(gap) >= T(1e-6) * w[0]) || gap == T(0)) continue;
      const T share = sign * lanes.template sum<T>(n, [=](int64_t i) { return v[m * n + i] * g[i]; }) / gap;
      lanes.each(n, [=](int64_t i) { h[i] += share * v[m * n + i]; });
    }
    lanes.sync();
    T* out = gradient + row * n * n;
    const bool add = accumulate;
    lanes.each(n * n, [=](int64_t i) { out[i] = (add ? out[i] : T(0)) + h[i / n] * v[j * n + i % n]; });
  }
};

// Sum over k < m, l < n of (r_s - r_t)^2 with r = exp(-(a_k - b_l)^2 / 8), and its gradients by the student's
// a and b.
template <class T>
struct CorrelationGapRow {
  static constexpr const char* name = "correlation_gap";
  const T* a;
  const T* b;
  const T* teachers_a;
  const T* teachers_b;
  T* loss;
  T* da;  // may be null, as db
  T* db;
  int64_t m, n;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T *x = a + row * m, *y = b + row * n, *tx = teachers_a + row * m, *ty = teachers_b + row * n;
    const int64_t columns = n, rows = m;
    const T w = weight;
    const auto r = [](T p, T q) { return exponential((p - q) * (p - q) * T(-0.125)); };
    const T total = lanes.template sum<T>(rows * columns, [=](int64_t i) {
      const int64_t k = i / columns, l = i % columns;
      const T gap = r(x[k], y[l]) - r(tx[k], ty[l]);
      return gap * gap;
    });
    if (lanes.leader()) loss[row] = w * total;
    // d(gap^2)/dx_k = 2 gap r (y_l - x_k) / 4
    const auto slope = [=](int64_t k, int64_t l) {
      const T own = r(x[k], y[l]);
      return T(0.5) * w * (own - r(tx[k], ty[l])) * own * (y[l] - x[k]);
    };
    if (da) {
      T* out = da + row * rows;
      lanes.each(rows, [=](int64_t k) {
        T sum = T(0);
        for (int64_t l = 0; l < columns; ++l) sum += slope(k, l);
        out[k] = sum;
      });
    }
    if (db) {
      T* out = db + row * columns;
      lanes.each(columns, [=](int64_t l) {
        T sum = T(0);
        for (int64_t k = 0; k < rows; ++k) sum -= slope(k, l);
        out[l] = sum;
      });
    }
  }
};

}  // namespace retort
