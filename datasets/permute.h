// Random orders of a set's images.
#pragma once
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/random.h"

namespace retort {

// 0, 1, ..., n - 1
inline std::vector<int32_t> first_numbers(int64_t n) {
  std::vector<int32_t> numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// Fisher-Yates: the first `count` places of a random permutation of `numbers`.
inline void permute(std::vector<int32_t>& numbers, int64_t count, uint64_t seed, Purpose purpose,
                    uint32_t epoch) {
  const auto n = uint32_t(numbers.size());
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t j = i + random_below(random4(seed, purpose, epoch, i, 0).v[0], n - i);
    std::swap(numbers[i], numbers[j]);
  }
}

}  // namespace retort
