// Pictures made smaller or larger, byte for byte as Pillow's bilinear resizing makes them.
#pragma once
#include <cstdint>
#include <vector>

#include "datasets/formats/resize_kernels.h"

namespace retort {

// A rectangle of whole pixels.
struct Box {
  int top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Box&) const = default;
};

// R, G, B bytes in rows `stride` bytes apart, in somebody else's memory.
struct PixelView {
  const uint8_t* data = nullptr;
  int height = 0, width = 0;
  int64_t stride = 0;

  PixelView part(const Box& box) const {
    return {data + box.top * stride + 3 * int64_t(box.left), box.height, box.width, stride};
  }
  // Row after row, without gaps: height x width x 3.
  void copy_to(uint8_t* to) const;
};

// Bilinear with antialiasing: each result is a mean of the source weighted by a triangle as wide as the reduction.
// Along rows first, rounded to bytes, then across them; weights in double, rounded to 2^-22. Keeps its buffers: one
// for each thread.
class Resizer {
 public:
  // The part `wanted` of the picture resized to height x width, to `to` (wanted.height, wanted.width, 3). Only what
  // that part needs is computed.
  void resize(const PixelView& from, int height, int width, const Box& wanted, uint8_t* to);

 private:
  struct Axis {
    int from = 0, to = 0, first = 0, count = 0;  // what the taps were computed for
    std::vector<ResizeTaps> taps;
    std::vector<int32_t> weights;

    void prepare(int from_places, int to_places, int first_wanted, int wanted);
    bool copies() const { return from == to; }
  };

  // Row y with a byte behind it that may be read.
  const uint8_t* source_row(const PixelView& from, int y);

  Axis rows_, columns_;
  std::vector<uint8_t> along_, last_row_;
};

}  // namespace retort
