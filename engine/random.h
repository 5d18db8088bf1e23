// Randomness without state: every random number is a pure function of (seed, purpose, epoch, sample, draw),
// so that resuming needs integers only and the order of threads cannot matter.
// Generator: Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
#pragma once
#include <cstdint>

#include "engine/kernels/host_device.h"

namespace retort {

// What a number is drawn for. Never renumber: runs would not repeat.
enum class Purpose : uint32_t {
  weights = 1,
  shuffle = 2,
  augment = 3,
  synthetic_train = 4,
  synthetic_test = 5,
  validation_split = 6,
  contrast_memory = 7,
  contrast_negatives = 8,
  strong_view = 9,
  resized_crop = 10,
  measured_pictures = 11,
};

struct Random4 {
  uint32_t v[4];
};

// The bijection itself: 10 rounds over a 128-bit counter with a 64-bit key.
RETORT_HD Random4 philox(Random4 counter, uint64_t key) {
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  Random4 c = counter;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c.v[0];
    const uint64_t p1 = uint64_t(0xCD9E8D57u) * c.v[2];
    c = {{uint32_t(p1 >> 32) ^ c.v[1] ^ k0, uint32_t(p1), uint32_t(p0 >> 32) ^ c.v[3] ^ k1, uint32_t(p0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// Four words for one (seed, purpose, epoch, sample, draw).
RETORT_HD Random4 random4(uint64_t seed, Purpose purpose, uint32_t epoch, uint32_t sample, uint32_t draw) {
  return philox({{draw, sample, epoch, uint32_t(purpose)}}, seed);
}

// Uniform in [0, 1) with 24 bits; in (0, 1) would be random_unit + 2^-25.
RETORT_HD float random_unit(uint32_t word) {
  return float(word >> 8) * (1.0f / 16777216.0f);
}

// Uniform in [0, n) by multiplication; the bias is below n / 2^32.
RETORT_HD uint32_t random_below(uint32_t word, uint32_t n) {
  return uint32_t((uint64_t(word) * n) >> 32);
}

}  // namespace retort
