// AT: Zagoruyko, Komodakis, "Paying More Attention to Attention", arXiv:1612.03928.
// Cost: +11.19 ms on kd (README.md).
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// Mean over samples and places of (a(student) - a(teacher))^2, a(F) = the mean over channels of F^2, its
// places as a vector of length 1 (equation 2 and the attention map F_sum^2 of section 3.1). Maps N,H,W,C of
// any widths; the one of larger side is first average-pooled to the smaller side. -> [1]
Var attention_loss(const Pass& pass, const Var& student, const Var& teacher);

}  // namespace retort
