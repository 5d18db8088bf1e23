// The table of op cases: one row buys a gradient check in f64, a comparison of every backend with portable,
// the test of overwriting and accumulating, guarded memory, and a benchmark.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/ops/ops.h"

namespace retort {

struct OpInput {
  Shape shape;
  enum Values {
    anything,  // U(-1, 1), at least 0.05 away from 0, where some derivatives jump
    positive,  // U(0.5, 1.5)
    logits,    // U(-4, 4)
    constant,  // like anything, without a gradient
    positive_constant,
  } values = anything;

  bool is_constant() const { return values == constant || values == positive_constant; }
};

struct OpCase {
  std::string name;
  std::vector<OpInput> inputs;
  std::function<Var(const Pass& pass, const std::vector<Var>& inputs)> op;
  // Of the larger of both values' magnitudes (at least 1) in f32, across backends.
  double tolerance = 2e-5;
};

const std::vector<OpCase>& op_cases();

// The inputs' values, the same for every backend and type.
std::vector<std::vector<double>> op_input_values(const OpCase& op_case);

}  // namespace retort
