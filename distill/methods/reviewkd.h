// ReviewKD: Chen, Liu, Zhao, Jia, "Distilling Knowledge via Knowledge Review", arXiv:2104.09044.
// Cost: +385.30 ms on kd (README.md).
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// The hierarchical context loss (section 3.3) of two maps N,H,W,C of one shape: the mean squared difference
// of the maps and of both pooled to k x k, k = 4, 2, 1, for the k less than their side; averaged with weights
// 1, 1/2, 1/4, 1/8. -> [1]
Var hierarchical_context_loss(const Pass& pass, const Var& student, const Var& teacher);

}  // namespace retort
