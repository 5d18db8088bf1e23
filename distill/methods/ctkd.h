// CTKD: Li, Li, Yang, Zhao, Song, Luo, Li, Yang, "Curriculum Temperature for Knowledge Distillation",
// arXiv:2211.16231. The global variant: one learned temperature.
// Cost: -0.15 ms on kd (README.md).
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// weight tau^2 mean KL(p || q) at tau = 1 + 20 sigmoid(theta), theta [1]. The student sees tau as a number;
// theta receives reversal times the loss's derivative with respect to it. student, teacher B,C of theta's
// type -> [1].
Var learned_temperature_kl(const Pass& pass, const Var& student, const Tensor& teacher, const Var& theta,
                           const Scalar& reversal, double weight = 1);

}  // namespace retort
