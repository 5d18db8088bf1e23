// Maps of student and teacher side by side.
#pragma once
#include <functional>
#include <utility>

#include "distill/methods/distiller.h"

namespace retort {

// Both maps (N,H,W,C), the larger one average-pooled to the other's side.
std::pair<Var, Var> pooled_to_smaller(const Pass& pass, const Var& student, const Var& teacher);

// Sum of a loss over the stages, paired from the front; where one network has more, its last ones have no
// partner. The stem is left out. -> [1]
using MapLoss = std::function<Var(const Pass& pass, const Var& student, const Var& teacher)>;
Var sum_over_stages(const DistillInputs& inputs, const Pass& pass, const MapLoss& loss);

}  // namespace retort
