// The two inner loops of resize.cpp, compiled for every instruction set of the host.
#pragma once
#include <stdint.h>

#include "engine/isa.h"

namespace retort {

// Weights are 2^22ths: the sum of a pixel's weighted bytes fits 31 bits, and nothing is rounded before its end.
constexpr int resize_weight_bits = 22;

// What one place of the result takes from one axis of the source: `count` places from `first` on.
struct ResizeTaps {
  int first, count;
  const int32_t* weights;
};

template <Isa isa>
struct ResizeLoops {
  // Four rows of R, G, B bytes along themselves, to one pixel for each of `places` taps, in rows `stride`
  // bytes apart. The byte behind each row's last is read, and the byte behind each result's last is written.
  // Four, since all take the same places with the same weights.
  static void along(const uint8_t* const (&rows)[4], const ResizeTaps* taps, int places, uint8_t* to,
                    int64_t stride);
  // The weighted sum of whole rows, `stride` bytes apart, the first of them taps.first's.
  static void across(const uint8_t* rows, int64_t stride, ResizeTaps taps, int64_t bytes, uint8_t* to);
};

}  // namespace retort
