#include "models/detection/boxes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/check.h"
#include "engine/kernels/lanes.h"

namespace retort {

float iou(const BoundingBox& a, const BoundingBox& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(width > 0 && height > 0)) return 0;
  const float shared = width * height;
  return shared / (a.area() + b.area() - shared);
}

BoundingBox clipped(const BoundingBox& box, float width, float height) {
  return {std::clamp(box.x1, 0.0f, width), std::clamp(box.y1, 0.0f, height), std::clamp(box.x2, 0.0f, width),
          std::clamp(box.y2, 0.0f, height)};
}

namespace {

struct Centred {
  float x, y, width, height;
  explicit Centred(const BoundingBox& b)
      : x(b.x1 + 0.5f * b.width()), y(b.y1 + 0.5f * b.height()), width(b.width()), height(b.height()) {}
};

}  // namespace

BoxDeltas BoxCoder::encode(const BoundingBox& box, const BoundingBox& anchor) const {
  const Centred g(box), a(anchor);
  return {centre * (g.x - a.x) / a.width, centre * (g.y - a.y) / a.height, side * std::log(g.width / a.width),
          side * std::log(g.height / a.height)};
}

BoundingBox BoxCoder::decode(const BoxDeltas& deltas, const BoundingBox& anchor) const {
  static const float most = float(std::log(1000.0 / 16));
  const Centred a(anchor);
  const float x = deltas[0] / centre * a.width + a.x, y = deltas[1] / centre * a.height + a.y;
  const float half_width = 0.5f * std::exp(std::min(deltas[2] / side, most)) * a.width,
              half_height = 0.5f * std::exp(std::min(deltas[3] / side, most)) * a.height;
  return {x - half_width, y - half_height, x + half_width, y + half_height};
}

std::vector<int32_t> highest(std::span<const float> scores, int64_t most) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min(most, int64_t(order.size()));
  // A total order, whatever the numbers are.
  const auto before = [&](int32_t a, int32_t b) {
    const int32_t left = OrderedKey<float>::of(scores[size_t(a)]),
                  right = OrderedKey<float>::of(scores[size_t(b)]);
    return left != right ? left > right : a < b;
  };
  if (end != order.end()) std::nth_element(order.begin(), end, order.end(), before);
  std::sort(order.begin(), end, before);
  order.erase(end, order.end());
  return order;
}

namespace {

// Boxes by their numbers, so that one is compared with several of them at once.
class Columns {
 public:
  void add(const BoundingBox& box) {
    x1_.push_back(box.x1);
    y1_.push_back(box.y1);
    x2_.push_back(box.x2);
    y2_.push_back(box.y2);
    area_.push_back(box.area());
  }
  // Whether the iou() of one of them with the box is above the threshold.
  bool covers(const BoundingBox& box, float threshold) const {
    constexpr size_t block = 32;
    const float own = box.area();
    for (size_t first = 0; first < area_.size(); first += block) {
      int any = 0;
      for (size_t i = first; i < std::min(area_.size(), first + block); ++i) {
        const float width = std::min(x2_[i], box.x2) - std::max(x1_[i], box.x1);
        const float height = std::min(y2_[i], box.y2) - std::max(y1_[i], box.y1);
        const float shared = width * height;
        any |= int(width > 0) & int(height > 0) & int(shared / (area_[i] + own - shared) > threshold);
      }
      if (any) return true;
    }
    return false;
  }

 private:
  std::vector<float> x1_, y1_, x2_, y2_, area_;
};

}  // namespace

std::vector<int32_t> suppress(std::span<const BoundingBox> boxes, std::span<const float> scores,
                              float threshold, int64_t most) {
  check(boxes.size() == scores.size(), "suppress: ", boxes.size(), " boxes with ", scores.size(), " scores");
  std::vector<int32_t> kept;
  Columns better;
  for (const int32_t candidate : highest(scores, int64_t(scores.size()))) {
    if (int64_t(kept.size()) >= most) break;
    const BoundingBox& box = boxes[size_t(candidate)];
    if (better.covers(box, threshold)) continue;
    kept.push_back(candidate);
    better.add(box);
  }
  return kept;
}

}  // namespace retort
