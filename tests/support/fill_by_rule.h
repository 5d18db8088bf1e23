// Weights that follow the closed formula of tests/data/models.py.
#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "layers/state.h"
#include "models/model.h"
#include "tests/support/closed_formula.h"

namespace retort::testing {

// The rule of models.py for a convolution's or linear layer's weight.
inline double weight_scale(int64_t fan_in) {
  double scale = 1;
  for (int64_t reach = 6; reach < fan_in; reach *= 4) scale /= 2;
  return scale;
}

inline bool ends_with(const std::string& name, const std::string& suffix) {
  return name.ends_with("." + suffix);
}

// Sets every tensor by the rule, through the loader: names and layouts are PyTorch's.
inline void fill_by_rule(Model& model, Device& device) {
  std::vector<HostTensor> state = state_of(model, device);
  std::map<std::string, size_t> rank_of_weight;  // by module
  for (const HostTensor& t : state) {
    if (ends_with(t.name, "weight")) rank_of_weight[t.name.substr(0, t.name.rfind('.'))] = t.shape.size();
  }
  for (HostTensor& t : state) {
    int64_t count = 1;
    for (const int64_t extent : t.shape) count *= extent;
    double scale = 0.25, shift = 0;
    const bool norm = rank_of_weight.at(t.name.substr(0, t.name.rfind('.'))) == 1;
    if (ends_with(t.name, "weight") && !norm) scale = weight_scale(count / t.shape[0]);
    if (ends_with(t.name, "weight") && norm) shift = 1;
    if (ends_with(t.name, "bias") && !norm) scale = 0.0625;
    if (ends_with(t.name, "running_var")) scale = 0.5, shift = 1.5;
    const std::vector<double> values = closed_values(t.name, count, scale, shift);
    t.type = DType::f64;
    t.data.resize(values.size() * sizeof(double));
    std::copy_n(reinterpret_cast<const std::byte*>(values.data()), t.data.size(), t.data.data());
  }
  load_state(model, device, state, "the closed formula");
}

}  // namespace retort::testing
