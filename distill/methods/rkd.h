// RKD: Park, Kim, Lu, Cho, "Relational Knowledge Distillation", arXiv:1904.05068.
// Cost: +12.65 ms on kd (README.md).
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// Both of features N,D of the same images, of any widths D; h is the Huber loss (equation 4). -> [1]
// Equations 5 and 6: mean over pairs, those of a sample with itself included, of h(d^s - d^t), d the
// distances divided by the mean distance of two different samples.
Var relational_distance_loss(const Pass& pass, const Var& student, const Var& teacher);
// Equations 7 and 8: mean over triples of h(c^s - c^t), c_ijk the cosine of the angle at i between j and k.
Var relational_angle_loss(const Pass& pass, const Var& student, const Var& teacher);

}  // namespace retort
