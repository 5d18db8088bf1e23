#pragma once
#include "engine/ops/ops.h"

namespace retort {

// The divergence of the students' neighbourhoods from the teacher's (equation 8 of arXiv:1803.10837): u = f /
// (|f| + 1e-7), k = (u u' + 1) / 2, rows divided by their sums; mean over all pairs of k_t log((k_t + 1e-7) /
// (k_s + 1e-7)). Features B,D of any widths -> [1]
Var neighbourhood_loss(const Pass& pass, const Var& student, const Var& teacher);

}  // namespace retort
