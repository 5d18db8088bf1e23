#pragma once
#include "engine/ops/ops.h"

namespace retort {

// The Gaussian of equation 4 of arXiv:1904.05835, without its constant: mean over all elements of ((mean -
// target)^2 / v
// + log v) / 2, v = log(1 + exp(rho)) + 1e-5 per channel. mean and target N,H,W,C, rho C -> [1]
Var gaussian_loss(const Pass& pass, const Var& mean, const Var& target, const Var& rho);

}  // namespace retort
