// Boxes on the host: corners x1,y1,x2,y2 in pixels, continuous, so a width is x2 - x1. All arithmetic is f32.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace retort {

struct BoundingBox {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;

  float width() const { return x2 - x1; }
  float height() const { return y2 - y1; }
  float area() const { return width() * height(); }
  bool operator==(const BoundingBox&) const = default;
};

// Intersection over union; 0 for boxes that do not meet or have no area.
float iou(const BoundingBox& a, const BoundingBox& b);

// The part inside a picture of the size given; sides may become 0.
BoundingBox clipped(const BoundingBox& box, float width, float height);

// A box relative to another: dx, dy, dw, dh.
using BoxDeltas = std::array<float, 4>;

// Ren et al., Faster R-CNN, arXiv:1506.01497, section 3.1.2: with centres and sides, dx = wx (gx - ax) / aw
// and dw = ww log(gw / aw), y and h alike.
struct BoxCoder {
  float centre = 1, side = 1;  // the weights wx = wy, ww = wh

  // The deltas that lead from the anchor to the box. Both have sides above 0.
  BoxDeltas encode(const BoundingBox& box, const BoundingBox& anchor) const;
  // dw and dh are clamped to at most log(1000 / 16), so that a wild guess gives no infinite box.
  BoundingBox decode(const BoxDeltas& deltas, const BoundingBox& anchor) const;
};

inline constexpr BoxCoder proposal_coder{1, 1};  // of region proposals
inline constexpr BoxCoder class_coder{10, 5};    // of a class's boxes

// Indices of scores, the highest first, equal ones by index, at most `most`. NaN counts as the highest.
std::vector<int32_t> highest(std::span<const float> scores, int64_t most);

// Greedy suppression of what overlaps: the indices of boxes that no better box covers with an IoU above the
// threshold, the best score first, ties by index, at most `most` of them.
std::vector<int32_t> suppress(std::span<const BoundingBox> boxes, std::span<const float> scores,
                              float threshold, int64_t most = INT64_MAX);

}  // namespace retort
