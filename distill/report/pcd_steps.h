// What PCD makes of one sample, taken apart for looking at: ranking, groups of each stage, weight and
// divergence of each group. The same formulas as pcd_row.h, written plainly; a test holds the two equal.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "distill/methods/method_settings.h"

namespace retort {

// At the temperature tau.
std::vector<double> softmax(std::span<const double> logits, double tau);

struct PcdGroup {
  int64_t first = 0, count = 0;  // of the ranked classes
  double lambda = 1, kl = 0;     // weight, and KL(p || q)
  double loss = 0;               // what it adds: directions tau^2 lambda KL
};

struct PcdSteps {
  std::vector<int32_t> order;                 // classes, the largest gap first (or in class order)
  std::vector<std::vector<PcdGroup>> stages;  // stages[k - 1] has k groups
  double loss = 0;                            // the sum, before alpha and warm-up
};

// method: pcd with its settings; standardized logits are what it ranks and compares, if it says so.
PcdSteps pcd_steps(const MethodSettings& method, const std::vector<double>& teacher,
                   const std::vector<double>& student);

}  // namespace retort
