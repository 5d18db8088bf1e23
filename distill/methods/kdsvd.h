#pragma once
#include "engine/ops/ops.h"

namespace retort {

// Eigenvalues (B,D), falling, and eigenvectors (B,D,D; a row each, its entry of largest magnitude positive)
// of symmetric matrices (B,D,D), by Jacobi's rotations. No gradient.
struct Eigen {
  Var values, vectors;
};
Eigen symmetric_eigen(const Pass& pass, const Tensor& matrices);

// Of each matrix's first four eigenvectors the one that is most nearly parallel to `direction` (B,D), turned
// to its side
// -> B,D. The choice is a constant; the gradient of a vector v_j is that of a simple eigenvalue, without the
// parts of eigenvalues nearer than a millionth of the largest, where it has no limit.
Var nearest_eigenvector(const Pass& pass, const Var& matrices, const Tensor& direction);

// Sum over k, l of (r_s - r_t)^2, r = exp(-(a_k - b_l)^2 / 8), mean over samples, for vectors a (B,M) and b
// (B,N) of the student and of the teacher -> [1]
Var correlation_gap(const Pass& pass, const Var& a, const Var& b, const Tensor& teachers_a,
                    const Tensor& teachers_b);

}  // namespace retort
