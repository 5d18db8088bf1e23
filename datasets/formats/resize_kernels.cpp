// Compiled once per instruction set, see resize_kernels.h.
#include "datasets/formats/resize_kernels.h"

#include "engine/cpu/simd.h"

namespace retort {
namespace {

constexpr uint32_t half = 1 << (resize_weight_bits - 1);

// Bytes are taken out of words, four to each: g++ 12 widens a vector of bytes byte by byte. Sums stay below
// 2^31.
typedef uint32_t FourWords __attribute__((vector_size(16)));

RETORT_HD uint32_t load_word(const uint8_t* from) {
  uint32_t word;
  __builtin_memcpy(&word, from, sizeof(word));
  return word;
}

RETORT_HD void store_word(uint32_t word, uint8_t* to) {
  __builtin_memcpy(to, &word, sizeof(word));
}

}  // namespace

template <>
void ResizeLoops<this_isa>::along(const uint8_t* const (&rows)[4], const ResizeTaps* taps, int places,
                                  uint8_t* to, int64_t stride) {
  for (int i = 0; i < places; ++i, to += 3) {
    int64_t from = 3 * int64_t(taps[i].first);
    FourWords red{half, half, half, half}, green = red, blue = red;
    for (int k = 0; k < taps[i].count; ++k, from += 3) {
      const uint32_t weight = uint32_t(taps[i].weights[k]);
      const FourWords pixels = {load_word(rows[0] + from), load_word(rows[1] + from),
                                load_word(rows[2] + from), load_word(rows[3] + from)};
      red += (pixels & 255) * weight;
      green += (pixels >> 8 & 255) * weight;
      blue += (pixels >> 16 & 255) * weight;
    }
    const FourWords pixels =
        red >> resize_weight_bits | green >> resize_weight_bits << 8 | blue >> resize_weight_bits << 16;
    // The fourth byte is the next pixel's, which is written after it.
    for (int r = 0; r < 4; ++r) store_word(pixels[r], to + r * stride);
  }
}

template <>
void ResizeLoops<this_isa>::across(const uint8_t* rows, int64_t stride, ResizeTaps taps, int64_t bytes,
                                   uint8_t* to) {
  typedef Vector<uint32_t> Words;
  typedef Words Unaligned __attribute__((aligned(1)));
  int64_t j = 0;
  for (; j + vector_bytes <= bytes; j += vector_bytes) {
    Words sums[4];
    unroll<4>([&](int b) RETORT_FLAT { sums[b] = Words{} + half; });
    for (int k = 0; k < taps.count; ++k) {
      const uint32_t weight = uint32_t(taps.weights[k]);
      const Words words = *reinterpret_cast<const Unaligned*>(rows + k * stride + j);
      unroll<4>([&](int b) RETORT_FLAT { sums[b] += (words >> 8 * b & 255) * weight; });
    }
    Words words{};
    unroll<4>([&](int b) RETORT_FLAT { words |= sums[b] >> resize_weight_bits << 8 * b; });
    *reinterpret_cast<Unaligned*>(to + j) = words;
  }
  for (; j < bytes; ++j) {
    uint32_t sum = half;
    for (int k = 0; k < taps.count; ++k) sum += rows[k * stride + j] * uint32_t(taps.weights[k]);
    to[j] = uint8_t(sum >> resize_weight_bits);
  }
}

}  // namespace retort
