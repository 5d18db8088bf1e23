// Maps as rows of channels: what methods that compare channels need, since ours are N,H,W,C.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// x (B,M,N) -> B,N,M
Var batched_transpose(const Pass& pass, const Var& x);

}  // namespace retort
