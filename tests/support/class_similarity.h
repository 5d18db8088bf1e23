// How alike the classes are, where a test has no teacher to ask.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

namespace retort {

// 1 - |i - j| / 10, as tests/data/reference_losses.py has it.
inline std::vector<double> some_class_similarity(int64_t classes) {
  std::vector<double> values;
  for (int64_t i = 0; i < classes; ++i) {
    for (int64_t j = 0; j < classes; ++j) values.push_back(1 - std::abs(double(i - j)) / 10);
  }
  return values;
}

}  // namespace retort
