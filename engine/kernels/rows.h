// The engine's row kernels (see lanes.h): softmax family, cross-entropy, gather; and the list of all of them.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/map_rows.h"
#include "engine/kernels/math.h"
#include "engine/kernels/optimizer/nesterov_row.h"
#include "engine/kernels/pair_rows.h"
#include "engine/kernels/regions/row_kernel_list.h"
#include "engine/kernels/softened_pair.h"

namespace retort {

// y = softmax(x / temperature), or its logarithm, over a row of n.
template <class T>
struct SoftmaxRow {
  static constexpr const char* name = "softmax";
  const T* x;
  T* y;
  int64_t n;
  T inverse_temperature;
  bool logarithm_of_it;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    T* out = y + row * n;
    const T it = inverse_temperature;
    const T top = lanes.template max<T>(n, [=](int64_t i) { return in[i]; });
    if (logarithm_of_it) {
      const T total = lanes.template sum<T>(n, [=](int64_t i) { return exponential((in[i] - top) * it); });
      const T log_total = logarithm(total);
      lanes.each(n, [=](int64_t i) { out[i] = (in[i] - top) * it - log_total; });
    } else {
      lanes.each(n, [=](int64_t i) { out[i] = exponential((in[i] - top) * it); });
      lanes.sync();
      const T scale = T(1) / lanes.template sum<T>(n, [=](int64_t i) { return out[i]; });
      lanes.each(n, [=](int64_t i) { out[i] *= scale; });
    }
  }
};

// Pullback of softmax, from y and dy: dx = y (dy - y.dy) / temperature; of log softmax: dx = (dy - exp(y) sum
// dy) / temperature.
template <class T>
struct SoftmaxGradientRow {
  static constexpr const char* name = "softmax_gradient";
  const T* y;
  const T* dy;
  T* dx;
  int64_t n;
  T inverse_temperature;
  bool logarithm_of_it;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* out = y + row * n;
    const T* d = dy + row * n;
    T* to = dx + row * n;
    const T it = inverse_temperature;
    const bool add = accumulate;
    if (logarithm_of_it) {
      const T total = lanes.template sum<T>(n, [=](int64_t i) { return d[i]; });
      lanes.each(
          n, [=](int64_t i) { to[i] = (add ? to[i] : T(0)) + (d[i] - exponential(out[i]) * total) * it; });
    } else {
      const T dot = lanes.template sum<T>(n, [=](int64_t i) { return out[i] * d[i]; });
      lanes.each(n, [=](int64_t i) { to[i] = (add ? to[i] : T(0)) + out[i] * (d[i] - dot) * it; });
    }
  }
};

// loss[row] = -log softmax(x)[label]; gradient = softmax(x) - onehot(label), both times weight.
template <class T>
struct CrossEntropyRow {
  static constexpr const char* name = "cross_entropy";
  const T* x;
  const int32_t* labels;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    const int64_t label = labels[row];
    const T w = weight;
    const T top = lanes.template max<T>(n, [=](int64_t i) { return in[i]; });
    const T total = lanes.template sum<T>(n, [=](int64_t i) { return exponential(in[i] - top); });
    if (lanes.leader()) loss[row] = w * (logarithm(total) - (in[label] - top));
    if (gradient) {
      T* out = gradient + row * n;
      const T scale = T(1) / total;
      lanes.each(n,
                 [=](int64_t i) { out[i] = w * (exponential(in[i] - top) * scale - T(i == label ? 1 : 0)); });
    }
  }
};

// loss[row] = weight KL(p || q), p = softmax(teacher / temperature), q of the student;
// gradient with respect to the student's row: weight (q - p) / temperature.
template <class T>
struct KlRow {
  static constexpr const char* name = "kl_divergence";
  const T* student;
  const T* teacher;
  T* loss;
  T* gradient;  // may be null
  int64_t n;
  T inverse_temperature;
  T weight;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T it = inverse_temperature, w = weight;
    const auto pair = softened_pair<T>(lanes, student + row * n, teacher + row * n, n, it, it);
    const T kl = lanes.template sum<T>(n, [=](int64_t i) { return pair.kl(i); });
    if (lanes.leader()) loss[row] = w * kl;
    if (gradient) {
      T* out = gradient + row * n;
      const T scale = w * it;
      lanes.each(n, [=](int64_t i) { out[i] = scale * pair.slope(i); });
    }
  }
};

// y[j] = x[index[j]]
template <class T>
struct GatherRow {
  static constexpr const char* name = "gather_columns";
  const T* x;
  const int32_t* index;
  T* y;
  int64_t n;  // columns of x
  int64_t m;  // columns of y

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    const int32_t* at = index + row * m;
    T* out = y + row * m;
    lanes.each(m, [=](int64_t j) { out[j] = in[at[j]]; });
  }
};

// dx[i] = sum of dy[j] where index[j] = i; each i looks for its j, so that repeated indices do not collide.
template <class T>
struct ScatterRow {
  static constexpr const char* name = "gather_columns_gradient";
  const T* dy;
  const int32_t* index;
  T* dx;
  int64_t n;
  int64_t m;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* d = dy + row * m;
    const int32_t* at = index + row * m;
    T* out = dx + row * n;
    const int64_t count = m;
    const bool add = accumulate;
    lanes.each(n, [=](int64_t i) {
      T total = add ? out[i] : T(0);
      for (int64_t j = 0; j < count; ++j) total += at[j] == i ? d[j] : T(0);
      out[i] = total;
    });
  }
};

// y[j groups + g] = x[g size + j]. Group by group, so that the lanes' inner loop has no division.
template <class T>
struct ShuffleRow {
  static constexpr const char* name = "channel_shuffle";
  const T* x;
  T* y;
  int64_t groups;
  int64_t size;  // columns of a group

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t step = groups;
    for (int64_t g = 0; g < step; ++g) {
      const T* in = x + (row * step + g) * size;
      T* out = y + row * step * size + g;
      lanes.each(size, [=](int64_t j) { out[j * step] = in[j]; });
    }
  }
};

// dx[g size + j] = dy[j groups + g]
template <class T>
struct ShuffleGradientRow {
  static constexpr const char* name = "channel_shuffle_gradient";
  const T* dy;
  T* dx;
  int64_t groups;
  int64_t size;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t step = groups;
    const bool add = accumulate;
    for (int64_t g = 0; g < step; ++g) {
      const T* in = dy + row * step * size + g;
      T* out = dx + (row * step + g) * size;
      lanes.each(size, [=](int64_t j) { out[j] = (add ? out[j] : T(0)) + in[j * step]; });
    }
  }
};

// correct[row] = 1 if the label is among the k largest logits: fewer than k are larger, ties go to the lower
// index. A row with a NaN in it is wrong.
template <class T>
struct TopKRow {
  static constexpr const char* name = "top_k";
  const T* x;
  const int32_t* labels;
  T* correct1;
  T* correct5;
  int64_t n;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T* in = x + row * n;
    const int64_t label = labels[row];
    const T own = in[label];
    const T ahead = lanes.template sum<T>(
        n, [=](int64_t i) { return T(!(in[i] < own || (in[i] == own && i >= label)) ? 1 : 0); });
    if (lanes.leader()) {
      correct1[row] = T(ahead < T(1) ? 1 : 0);
      correct5[row] = T(ahead < T(5) ? 1 : 0);
    }
  }
};

}  // namespace retort

// clang-format off
#define RETORT_ENGINE_ROW_KERNELS_OF(X, T)                      \
  X(retort::SoftmaxRow<T>) X(retort::SoftmaxGradientRow<T>)     \
  X(retort::CrossEntropyRow<T>) X(retort::KlRow<T>)             \
  X(retort::GatherRow<T>) X(retort::ScatterRow<T>)              \
  X(retort::ShuffleRow<T>) X(retort::ShuffleGradientRow<T>)     \
  X(retort::TopKRow<T>)                                         \
  X(retort::AdaptivePoolRow<T>) X(retort::AdaptivePoolGradientRow<T>) \
  X(retort::ResizeRow<T>) X(retort::ResizeGradientRow<T>)       \
  X(retort::PairDifferenceRow<T>) X(retort::PairDifferenceGradientRow<T>) \
  X(retort::GramRow<T>) X(retort::GramGradientRow<T>)           \
  X(retort::NesterovRow<T>)
#define RETORT_ENGINE_ROW_KERNELS(X)      \
  RETORT_ENGINE_ROW_KERNELS_OF(X, float)  \
  RETORT_ENGINE_ROW_KERNELS_OF(X, double) \
  RETORT_REGION_ROW_KERNELS(X)            \
  X(retort::ShuffleRow<uint16_t>)
// clang-format on
