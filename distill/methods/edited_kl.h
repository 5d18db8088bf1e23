// Divergences from a distribution whose labelled class has been set right: what swap and rc are made of.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

enum class TargetEdit {
  swap_with_largest,  // the largest logit (the first at a tie) and the labelled class's change places
  raise_by_largest    // the largest logit is added to the labelled class's
};

// Mean over samples of weight KL(p || q), p = softmax(edited target / temperature), q = softmax(student /
// temperature). target B,C is a constant, labels i32 B. student B,C -> [1]
Var edited_kl(const Pass& pass, const Var& student, const Tensor& target, const Tensor& labels,
              TargetEdit edit, double temperature, double weight);

}  // namespace retort
