#pragma once
#include <vector>

#include "engine/ops/ops.h"

namespace retort {

// The mean of a normal distribution of that mean (beta) and deviation (|gamma|) below 0, per channel
// (equation 5 of arXiv:1904.01866): below it the teacher's value says no more than "not active". -3 |gamma|
// where less than a thousandth of it is below 0; min(beta, 0) where gamma is 0.
std::vector<double> activation_margins(const std::vector<double>& gamma, const std::vector<double>& beta);

// Sum over channels and places, mean over samples, of d(x, t): (x - t)^2 where t > 0; max(x - t, 0)^2 where
// margin < t <= 0; max(x - margin, 0)^2 where t <= margin (equations 3 and 4). x and target N,H,W,C, margins
// C -> [1], times weight
Var partial_l2(const Pass& pass, const Var& x, const Tensor& target, const Tensor& margins,
               double weight = 1);

}  // namespace retort
