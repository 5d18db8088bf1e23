// Row kernels of roi_align: what boxes see of images N,H,W,C. Lanes are channels.
//
// A bin's value is the mean over a grid of samples, each bilinear between four places. The grid and the
// interpolation are products of a row's and a column's part, so a bin is sum over y, x of A[y] B[x] image[y,
// x] with A and B from RoiAxis::weight: far fewer places than samples times four.
#pragma once
#include "engine/kernels/lanes.h"

namespace retort {

// One axis of a box on a level: `bins` bins from `start` on, in places, each with `samples` samples.
template <class T>
struct RoiAxis {
  T start, bin;
  int64_t samples, extent;  // extent: places of the level

  // low and high: the box's side in pixels. Places lie at the centres of their pixels.
  static RETORT_HD RoiAxis of(T low, T high, T scale, int bins, int64_t extent) {
    const T start = low * scale - T(0.5), side = (high * scale - T(0.5)) - start;
    const T bin = side / T(bins);
    const auto whole = int64_t(bin);
    const int64_t samples = bin > T(whole) ? whole + 1 : whole;  // ceil, for bin >= 0
    return {start, bin, samples, extent};
  }
  RETORT_HD T sample(int64_t i, int64_t s) const {
    return start + T(i) * bin + (T(s) + T(0.5)) * bin / T(samples);
  }
  // The first and last place that bin i may touch.
  RETORT_HD int64_t first(int64_t i) const { return clamped(sample(i, 0)); }
  RETORT_HD int64_t last(int64_t i) const {
    const int64_t low = clamped(sample(i, samples - 1));
    return low + 1 < extent ? low + 1 : extent - 1;
  }
  // How much of the bin's mean comes from a place: 0 for samples outside [-1, extent]; samples beyond the
  // first or last place take that one.
  RETORT_HD T weight(int64_t i, int64_t place) const {
    T total = T(0);
    for (int64_t s = 0; s < samples; ++s) {
      T at = sample(i, s);
      if (at < T(-1) || at > T(extent)) continue;
      if (at < T(0)) at = T(0);
      const auto low = int64_t(at);
      if (low >= extent - 1)
        total += T(place == extent - 1 ? 1 : 0);
      else if (place == low)
        total += T(1) - (at - T(low));
      else if (place == low + 1)
        total += at - T(low);
    }
    return total / T(samples);
  }

 private:
  RETORT_HD int64_t clamped(T at) const {
    if (!(at > T(0))) return 0;
    return at < T(extent - 1) ? int64_t(at) : extent - 1;
  }
};

template <class T>
struct RoiLevel {
  const T* x;
  int64_t height, width;
  T scale;
};

// A row is one bin of one box.
template <class T>
struct RoiAlignRow {
  static constexpr const char* name = "roi_align";
  static constexpr int most_levels = 4;
  RoiLevel<T> levels[most_levels];
  const T* boxes;
  const int32_t* image;
  const int32_t* level;
  T* y;
  int64_t channels;
  int size;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t j = row % size, i = row / size % size, roi = row / size / size;
    const RoiLevel<T>& from = levels[level[roi]];
    const T* box = boxes + 4 * roi;
    const RoiAxis<T> down = RoiAxis<T>::of(box[1], box[3], from.scale, size, from.height),
                     across = RoiAxis<T>::of(box[0], box[2], from.scale, size, from.width);
    T* out = y + row * channels;
    lanes.each(channels, [=](int64_t k) { out[k] = T(0); });
    if (down.samples < 1 || across.samples < 1) return;
    for (int64_t a = down.first(i); a <= down.last(i); ++a) {
      const T part = down.weight(i, a);
      if (part == T(0)) continue;
      for (int64_t b = across.first(j); b <= across.last(j); ++b) {
        const T weight = part * across.weight(j, b);
        const T* in = from.x + ((image[roi] * from.height + a) * from.width + b) * channels;
        lanes.each(channels, [=](int64_t k) { out[k] += weight * in[k]; });
      }
    }
  }
};

// Of one level. A row is one row of places of one image, which goes through the boxes in their order: one
// writer for each place, whatever boxes overlap.
template <class T>
struct RoiAlignGradientRow {
  static constexpr const char* name = "roi_align_gradient";
  const T* dy;
  T* dx;
  const T* boxes;
  const int32_t* image;
  const int32_t* level;
  int64_t rois, channels, height, width;
  T scale;
  int32_t own_level;
  int size;
  bool accumulate;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t a = row % height, n = row / height;
    T* to = dx + row * width * channels;
    if (!accumulate) lanes.each(width * channels, [=](int64_t k) { to[k] = T(0); });
    lanes.sync();
    for (int64_t roi = 0; roi < rois; ++roi) {
      if (image[roi] != n || level[roi] != own_level) continue;
      const T* box = boxes + 4 * roi;
      const RoiAxis<T> down = RoiAxis<T>::of(box[1], box[3], scale, size, height),
                       across = RoiAxis<T>::of(box[0], box[2], scale, size, width);
      if (down.samples < 1 || across.samples < 1 || a < down.first(0) || a > down.last(size - 1)) continue;
      for (int64_t i = 0; i < size; ++i) {
        if (a < down.first(i) || a > down.last(i)) continue;
        const T part = down.weight(i, a);
        if (part == T(0)) continue;
        for (int64_t j = 0; j < size; ++j) {
          const T* d = dy + ((roi * size + i) * size + j) * channels;
          for (int64_t b = across.first(j); b <= across.last(j); ++b) {
            const T weight = part * across.weight(j, b);
            T* out = to + b * channels;
            lanes.each(channels, [=](int64_t k) { out[k] += weight * d[k]; });
          }
        }
      }
    }
  }
};

}  // namespace retort
