// The row kernel of sdd.cpp.
#pragma once
#include "engine/kernels/lanes.h"

namespace retort {

// Row r is region r % regions of sample r / regions, whose last region is the whole map: the sample's label,
// and the weight 2 where the teacher is right about one of region and whole but not the other, else 1.
template <class T>
struct RegionWeightRow {
  static constexpr const char* name = "region_weight";
  const T* teacher;  // logits of the regions
  const int32_t* labels;
  int32_t* labels_of_regions;
  T* weights;
  int64_t n;
  int64_t regions;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const int64_t sample = row / regions;
    const int32_t y = labels[sample];
    const T* own = teacher + row * n;
    const T* whole = teacher + (sample * regions + regions - 1) * n;
    const bool right = int32_t(lanes.first_max(n, [=](int64_t i) { return own[i]; })) == y;
    const bool whole_right = int32_t(lanes.first_max(n, [=](int64_t i) { return whole[i]; })) == y;
    if (!lanes.leader()) return;
    labels_of_regions[row] = y;
    weights[row] = T(right == whole_right ? 1 : 2);
  }
};

}  // namespace retort
