// CRD: Tian, Krishnan, Isola, "Contrastive Representation Distillation", arXiv:1910.10699.
// Cost: +105.46 ms on kd (README.md).
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// What the contrastive loss of one side knows.
struct ContrastSpec {
  double samples = 0;         // N, images that are trained on
  double temperature = 0.07;  // T
};

// Equation 11 with the critic of equation 19, noise contrastive estimation: with e_bk = exp(memory[index_bk]
// . v_b / T), P = e / Z and c = K / N,
//   -(1/B) sum_b [log(P_b0 / (P_b0 + c + 1e-7)) + sum_{k>=1} log(c / (P_bk + c + 1e-7))]
// for v (B,D), memory (N,D) and index (B,K+1; i32), whose first column is the sample itself. partition [1] is
// Z; where it holds 0 it becomes N mean(e), constant ever after. -> [1]
Var contrast_loss(const Pass& pass, const Var& v, const Tensor& memory, const Tensor& index,
                  const Tensor& partition, const ContrastSpec& spec);

// memory[index_b0] <- unit(keep memory[index_b0] + (1 - keep) v_b)
void remember(Backend& backend, const Tensor& memory, const Tensor& index, const Tensor& v, double keep);

}  // namespace retort
