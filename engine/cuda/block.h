// Blocks of four extents, row-major, and which place of one lies where in another: arithmetic for host and
// device.
#pragma once
#include <cstdint>

#include "engine/kernels/host_device.h"

namespace retort {

struct Block {
  int64_t extents[4] = {1, 1, 1, 1};

  int64_t size() const { return extents[0] * extents[1] * extents[2] * extents[3]; }
  bool operator==(const Block&) const = default;
};

// The place in `from` that has the coordinates of place i in `to`; -1 if they lie outside of it.
RETORT_HD int64_t place_in(const Block& from, const Block& to, int64_t i) {
  int64_t place = 0, step = 1;
  for (int axis = 3; axis >= 0; --axis) {
    const int64_t coordinate = i % to.extents[axis];
    i /= to.extents[axis];
    if (coordinate >= from.extents[axis]) return -1;
    place += coordinate * step;
    step *= from.extents[axis];
  }
  return place;
}

}  // namespace retort
