#include "datasets/formats/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"

namespace retort {
namespace {

struct Loops {
  decltype(&ResizeLoops<Isa::baseline>::along) along;
  decltype(&ResizeLoops<Isa::baseline>::across) across;
};

template <Isa isa>
constexpr Loops loops_of() {
  return {ResizeLoops<compiled(isa)>::along, ResizeLoops<compiled(isa)>::across};
}

const Loops& loops() {
  static const Loops all[isa_count] = {loops_of<Isa::baseline>(), loops_of<Isa::avx2>(),
                                       loops_of<Isa::avx512>()};
  static const Loops& best = all[int(best_isa())];
  return best;
}

}  // namespace

// The triangle's weights, summing to 1, of the wanted places of an axis.
void Resizer::Axis::prepare(int from_places, int to_places, int first_wanted, int wanted) {
  if (from == from_places && to == to_places && first == first_wanted && count == wanted) return;
  from = from_places;
  to = to_places;
  first = first_wanted;
  count = wanted;
  taps.clear();
  weights.clear();
  const double scale = double(from) / to;
  const double reach = std::max(scale, 1.0);  // half the width of the triangle
  std::vector<double> exact;
  for (int i = first; i < first + count; ++i) {
    const double centre = (i + 0.5) * scale;
    const int begin = std::max(0, int(centre - reach + 0.5)), end = std::min(from, int(centre + reach + 0.5));
    exact.clear();
    double sum = 0;
    for (int place = begin; place < end; ++place) {
      // Pillow multiplies by the reciprocal: a division can round to another weight.
      const double distance = std::abs((place - centre + 0.5) * (1.0 / reach));
      exact.push_back(distance < 1 ? 1 - distance : 0);
      sum += exact.back();
    }
    taps.push_back({begin, end - begin, nullptr});
    for (const double weight : exact)
      weights.push_back(int32_t(0.5 + weight / sum * (1 << resize_weight_bits)));
  }
  size_t at = 0;
  for (ResizeTaps& one : taps) {
    one.weights = weights.data() + at;
    at += size_t(one.count);
  }
}

void PixelView::copy_to(uint8_t* to) const {
  const int64_t row = 3 * int64_t(width);
  for (int y = 0; y < height; ++y) std::memcpy(to + y * row, data + y * stride, size_t(row));
}

const uint8_t* Resizer::source_row(const PixelView& from, int y) {
  const uint8_t* row = from.data + y * from.stride;
  if (y < from.height - 1) return row;
  // Behind the source's last byte nothing may be read.
  last_row_.assign(row, row + 3 * int64_t(from.width));
  last_row_.push_back(0);
  return last_row_.data();
}

void Resizer::resize(const PixelView& from, int height, int width, const Box& wanted, uint8_t* to) {
  check(from.height >= 1 && from.width >= 1 && height >= 1 && width >= 1, "resize: ", from.height, " x ",
        from.width, " pixels to ", height, " x ", width);
  check(wanted.top >= 0 && wanted.left >= 0 && wanted.height >= 1 && wanted.width >= 1 &&
            wanted.top + wanted.height <= height && wanted.left + wanted.width <= width,
        "resize: part ", wanted.top, ", ", wanted.left, " of ", wanted.height, " x ", wanted.width, " of ",
        height, " x ", width);
  rows_.prepare(from.height, height, wanted.top, wanted.height);
  columns_.prepare(from.width, width, wanted.left, wanted.width);

  // The rows of the source that the wanted part takes from.
  const int first = rows_.copies() ? wanted.top : rows_.taps.front().first;
  const int end =
      rows_.copies() ? wanted.top + wanted.height : rows_.taps.back().first + rows_.taps.back().count;
  const int64_t bytes = 3 * int64_t(wanted.width);
  PixelView lines{from.data + first * from.stride + 3 * int64_t(wanted.left), end - first, wanted.width,
                  from.stride};
  if (!columns_.copies()) {
    const int64_t stride = (bytes + 1 + 63) / 64 * 64;
    const int rows = end - first, padded = (rows + 3) / 4 * 4;
    along_.resize(size_t(padded * stride));
    for (int y = 0; y < rows; y += 4) {
      const uint8_t* four[4];
      for (int r = 0; r < 4; ++r) four[r] = source_row(from, std::min(first + y + r, end - 1));
      loops().along(four, columns_.taps.data(), wanted.width, along_.data() + y * stride, stride);
    }
    lines = {along_.data(), rows, wanted.width, stride};
  }
  for (int y = 0; y < wanted.height; ++y) {
    uint8_t* const out = to + y * bytes;
    if (rows_.copies()) {
      std::memcpy(out, lines.data + y * lines.stride, size_t(bytes));
    } else {
      const ResizeTaps& taps = rows_.taps[size_t(y)];
      loops().across(lines.data + (taps.first - first) * lines.stride, lines.stride, taps, bytes, out);
    }
  }
}

}  // namespace retort
