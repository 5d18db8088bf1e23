#pragma once
#include "engine/ops/ops.h"

namespace retort {

// The squared maximum mean discrepancy of the channels' maps, polynomial kernel of degree 2 (equations 8 and
// 9 of arXiv:1707.01219): M(t,t) + M(s,s) - 2 M(s,t), M(a,b) the mean over samples and all pairs of channels
// of (a_i . b_j)^2, maps of length 1 over their places. Maps N,H,W,C of any widths; the one of larger side is
// first average-pooled to the smaller side. -> [1]
Var selectivity_loss(const Pass& pass, const Var& student, const Var& teacher);

}  // namespace retort
