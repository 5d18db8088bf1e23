// The arithmetic of crd.h: drawing negatives, scoring them against the memory, and keeping the memory.
#pragma once
#include "distill/methods/keyed_permutation.h"
#include "engine/kernels/lanes.h"
#include "engine/kernels/math.h"

namespace retort {

// Row b: out[b,0] is the sample's place in the memory, out[b,1..K] those of images of other classes, drawn
// uniformly without replacement; with replacement where there are fewer than K. A function of (seed, epoch,
// image, draw).
struct DrawNegativesRow {
  static constexpr const char* name = "draw_negatives";
  const int32_t* images;    // of the batch
  const int32_t* labels;    // of the batch
  const int32_t* place_of;  // image -> place
  const int32_t* by_class;  // the N places, class by class
  const int32_t* first;     // where a class begins in by_class, and at the end N
  int32_t* out;
  const double* epoch;
  uint64_t seed;
  int64_t count;  // K
  int32_t n;      // N

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const auto image = uint32_t(images[row]);
    const int32_t own = first[labels[row]], behind = first[labels[row] + 1];
    const auto others = uint32_t(n - (behind - own));
    const auto now = uint32_t(*epoch);
    const uint64_t key = seed;
    const int32_t* places = by_class;
    int32_t* to = out + row * (count + 1);
    // The i-th image that is of another class.
    const auto other = [=](uint32_t i) { return places[i < uint32_t(own) ? i : i + uint32_t(behind - own)]; };
    if (lanes.leader()) to[0] = place_of[image];
    if (int64_t(others) >= count) {
      const KeyedPermutation shuffled(others, random4(key, Purpose::contrast_negatives, now, image, 0));
      lanes.each(count, [=](int64_t k) { to[k + 1] = other(shuffled(uint32_t(k))); });
    } else {
      lanes.each(count, [=](int64_t k) {
        const Random4 r = random4(key, Purpose::contrast_negatives, now, image, uint32_t(k) + 1);
        to[k + 1] = other(random_below(r.v[0], others));
      });
    }
  }
};

// Row b (K+1) + k: scores[b,k] = memory[index_bk] . v_b / T. The memory's rows are gathered here, never
// stored.
template <class T>
struct ContrastScoreRow {
  static constexpr const char* name = "contrast_score";
  const T* memory;
  const int32_t* index;
  const T* v;
  T* scores;
  int64_t width, d;  // K + 1, and the length of a vector
  T inverse_temperature;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T *u = memory + int64_t(index[row]) * d, *w = v + row / width * d;
    const T dot = lanes.template sum<T>(d, [=](int64_t i) { return u[i] * w[i]; });
    if (lanes.leader()) scores[row] = dot * inverse_temperature;
  }
};

// One row: the first time, Z = N mean(exp(scores)).
template <class T>
struct FirstPartitionRow {
  static constexpr const char* name = "first_partition";
  const T* scores;
  T* partition;
  int64_t size;
  T scale;  // N / size

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t) const {
    if (*partition != T(0)) return;
    const T* s = scores;
    const T total = lanes.template sum<T>(size, [=](int64_t i) { return exponential(s[i]); });
    if (lanes.leader()) *partition = scale * total;
  }
};

// Row b: its share of the loss; scores become the loss's derivatives with respect to memory[index_bk] . v_b.
template <class T>
struct ContrastLossRow {
  static constexpr const char* name = "contrast_loss";
  T* scores;
  const T* partition;
  T* loss;
  int64_t width;  // K + 1
  T noise;        // c = K / N
  T inverse_temperature;
  T weight;  // 1 / B

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    T* s = scores + row * width;
    const T floor = noise + T(1e-7), log_noise = logarithm(noise), scale = T(1) / *partition;
    const T own = exponential(s[0]) * scale, w = weight * inverse_temperature;
    const T negatives = lanes.template sum<T>(width - 1, [=](int64_t k) {
      const T p = exponential(s[k + 1]) * scale;
      s[k + 1] = w * p / (p + floor);
      return log_noise - logarithm(p + floor);
    });
    if (lanes.leader()) {
      loss[row] = -weight * (logarithm(own) - logarithm(own + floor) + negatives);
      s[0] = -w * floor / (own + floor);
    }
  }
};

// Row b parts + p: the sum over the p-th part of the k of derivative_bk memory[index_bk].
template <class T>
struct ContrastGradientRow {
  static constexpr const char* name = "contrast_gradient";
  const T* memory;
  const int32_t* index;
  const T* derivatives;
  T* sums;
  int64_t width, d, parts;

  int64_t scratch_bytes() const { return int64_t(lane_scratch_bytes(size_t(d) * sizeof(T))); }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t b = row / parts, p = row % parts;
    T* sum = lanes.template scratch<T>(d);
    lanes.each(d, [=](int64_t i) { sum[i] = T(0); });
    for (int64_t k = p * width / parts; k < (p + 1) * width / parts; ++k) {
      const T* u = memory + int64_t(index[b * width + k]) * d;
      const T share = derivatives[b * width + k];
      lanes.each(d, [=](int64_t i) { sum[i] += share * u[i]; });
    }
    T* out = sums + row * d;
    lanes.each(d, [=](int64_t i) { out[i] = sum[i]; });
  }
};

// Row b: the sum of its parts.
template <class T>
struct SumPartsRow {
  static constexpr const char* name = "sum_parts";
  const T* sums;
  T* out;
  int64_t d, parts;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    T* to = out + row * d;
    lanes.each(d, [=](int64_t i) { to[i] = T(0); });
    for (int64_t p = 0; p < parts; ++p) {
      const T* from = sums + (row * parts + p) * d;
      lanes.each(d, [=](int64_t i) { to[i] += from[i]; });
    }
  }
};

// Row b: memory[index_b0] <- unit(keep memory[index_b0] + (1 - keep) v_b).
template <class T>
struct RememberRow {
  static constexpr const char* name = "remember";
  T* memory;
  const int32_t* index;
  const T* v;
  int64_t width, d;
  T keep;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    T* m = memory + int64_t(index[row * width]) * d;
    const T *u = v + row * d, a = keep;
    const T square = lanes.template sum<T>(d, [=](int64_t i) {
      const T x = a * m[i] + (T(1) - a) * u[i];
      return x * x;
    });
    const T scale = T(1) / square_root(square);
    lanes.each(d, [=](int64_t i) { m[i] = scale * (a * m[i] + (T(1) - a) * u[i]); });
  }
};

}  // namespace retort
