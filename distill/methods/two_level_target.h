// Targets without a teacher: one probability for the labelled class, another for every other.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

struct TwoLevelTarget {
  double on = 1, off = 0;  // on + (C - 1) off = 1
  double log_on = 0,
         log_off = 0;  // read by the divergence only, finite also where the probability underflows
};

// Mean over samples of weight times -sum t log q, q = softmax(logits), or of KL(t || q). logits B,C, labels
// i32 B -> [1].
Var two_level_loss(const Pass& pass, const char* name, const Var& logits, const Tensor& labels,
                   const TwoLevelTarget& target, bool divergence, double weight);

}  // namespace retort
