// WKD-L: Lv, Yang, Li, "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge Distillation",
// NeurIPS 2024, arXiv:2412.08139.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// Softmax at the temperature over the classes other than the label, whose place gets 0: B,C -> B,C; labels
// i32 B. Error(Fault::usage) if C < 2.
Var others_softmax(const Pass& pass, const Var& logits, const Tensor& labels, double temperature);

// Mean over samples of weight times the cost of moving b to a, the distributions of the other classes
// (equations 3 to 5), D the cost between classes (C,C). Ten iterations of Sinkhorn at regularisation 0.05,
// and the gradient goes through them: with D' = max(D, 0) + 1e-8 and K = exp(-D' / 0.05), from u = 1 / (C -
// 1) on v = b / (K'u + 1e-8), u = a / (K v + 1e-8); then sum over i, j of u_i K_ij v_j D'_ij. Not 0 where a
// and b agree. -> [1]
Var transport_cost(const Pass& pass, const Var& a, const Var& b, const Var& start, const Var& distances,
                   double weight);

}  // namespace retort
