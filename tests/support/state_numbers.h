// What modules hold, as numbers to compare: for tests.
#pragma once
#include <vector>

#include "layers/state.h"

namespace retort::testing {

// Weights and statistics of all of them, in order; f32.
inline std::vector<double> state_numbers(const std::vector<Module*>& modules, Device& device) {
  std::vector<double> all;
  for (Module* module : modules) {
    for (const HostTensor& tensor : state_of(*module, device)) {
      const auto* values = reinterpret_cast<const float*>(tensor.data.data());
      all.insert(all.end(), values, values + tensor.data.size() / sizeof(float));
    }
  }
  return all;
}

}  // namespace retort::testing
