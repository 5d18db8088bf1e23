#pragma once
#include "engine/ops/ops.h"

namespace retort {

// |G_t - G_s|_F^2 / B^2, G the scalar products of the images' features, rows of length 1 (equation 4 of
// arXiv:1907.09682). Features B,... of any shapes -> [1]
Var similarity_loss(const Pass& pass, const Var& student, const Var& teacher);

}  // namespace retort
