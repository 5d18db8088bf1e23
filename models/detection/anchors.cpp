#include "models/detection/anchors.h"

#include <algorithm>
#include <cmath>

namespace retort {

int64_t places(const DetectorSpec& spec, int level, int64_t side) {
  const int64_t stride = spec.stride(level);
  return (side + stride - 1) / stride;
}

std::vector<BoundingBox> make_anchors(const DetectorSpec& spec, int64_t height, int64_t width) {
  std::vector<BoundingBox> anchors;
  for (int level = 0; level < spec.levels(); ++level) {
    const double size = spec.sizes[size_t(level)];
    std::vector<BoundingBox> at_origin;
    for (const double ratio : spec.ratios) {
      const double w = std::sqrt(size * size / ratio), h = ratio * w;
      at_origin.push_back({float(-w / 2), float(-h / 2), float(w / 2), float(h / 2)});
    }
    const int64_t rows = places(spec, level, height), columns = places(spec, level, width);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        const auto x = float(j * spec.stride(level)), y = float(i * spec.stride(level));
        for (const BoundingBox& box : at_origin)
          anchors.push_back({box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y});
      }
    }
  }
  return anchors;
}

const std::vector<BoundingBox>& Anchors::of(int64_t height, int64_t width) {
  if (height != height_ || width != width_) boxes_ = make_anchors(spec_, height, width);
  height_ = height;
  width_ = width;
  return boxes_;
}

int level_of(const DetectorSpec& spec, const BoundingBox& box) {
  // p4 is of boxes of the canonical side, p2 is level 0. Operation by operation as PyTorch computes it in
  // f32: an ulp below a power of two the sum with 4 is rounded up to the next level.
  constexpr float canonical_level = 4, finest = 2;
  const float ratio = std::sqrt(box.area()) / float(spec.canonical_side) + 1e-8f;
  const float level = std::floor(canonical_level + std::log2(ratio));
  return int(std::clamp(level, finest, finest + float(spec.roi_levels - 1)) - finest);
}

}  // namespace retort
