// Logit standardisation: Sun, Ren, Li, Wang, Cao, "Logit Standardization in Knowledge Distillation",
// arXiv:2403.01427, equation 12.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// Each row of logits (B,C) to mean 0 and deviation 1: y = (z - mean) / (1e-7 + std), std with C - 1 in the
// denominator (0 for equal logits). Differentiated through mean and std. Error(Fault::usage) if C < 2.
Var standardize(const Pass& pass, const Var& logits);

}  // namespace retort
