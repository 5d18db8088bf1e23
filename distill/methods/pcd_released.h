// pcd-released: what the code released with Progressive Class-level Distillation (arXiv:2505.24310) computes,
// which is not the loss of the paper (pcd.h). There is no ranking in it, and its blocks are always all
// classes or none.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// 2 weight S tau^2 K f: K the batch mean of KL(p || q) over all classes, f the batch mean of 1 - cos(p, log
// q), a cosine of probabilities with log-probabilities, in [1, 2]; the gradient flows through both. student
// B,C -> [1].
Var pcd_released_loss(const Pass& pass, const Var& student, const Tensor& teacher, double temperature,
                      int stages, double weight = 1);

}  // namespace retort
