// Losses that treat the labelled class and the others apart: what dkd, nkd and rld are made of.
#pragma once
#include "distill/methods/fused_loss.h"
#include "engine/ops/ops.h"

namespace retort {

// weights, in all three: one for each sample, which its loss is multiplied by; empty: 1.

// Which class of the teacher is set against the labelled class of the student.
enum class TeacherClass { label, largest };

// Mean over samples of weight bin(p, k; q, y): the KL divergence of the two-class distributions (p_k, 1 -
// p_k) of the teacher and (q_y, 1 - q_y) of the student, p and q softmaxes at the temperature, y the label, k
// the label or the class of the teacher's largest logit (the first at a tie). student B,C, labels i32 B ->
// [1]. Error(Fault::usage) if C < 2.
Var binary_kl(const Pass& pass, const Var& student, const Tensor& teacher, const Tensor& labels,
              TeacherClass k, double temperature, double weight, const Var& weights = {});

// not_label: all classes but the labelled one. below_label: those whose teacher logit is less than the
// labelled class's.
enum class Subset { not_label, below_label, all };

// Mean over samples of weight KL(p || q), the softmaxes taken over a subset of the classes only; 0 for a
// subset of fewer than two classes. cross_entropy: -sum p log q instead, which is not 0 at agreement.
Var subset_kl(const Pass& pass, const Var& student, const Tensor& teacher, const Tensor& labels,
              Subset subset, double temperature, double weight, bool cross_entropy = false,
              const Var& weights = {});

// -mean p_y log q_y at temperature 1, y the label.
Var target_cross_entropy(const Pass& pass, const Var& student, const Var& teacher, const Var& labels,
                         const Var& weights = {});

// Both as terms of one kernel, see FusedRows: the second without cross_entropy.
struct TargetSplit {
  const char *binary, *subset;  // names
  TeacherClass k;
  Subset members;
  double binary_temperature, binary_weight, subset_temperature, subset_weight;
};
void launch_target_split(const TargetSplit& split, const Var& student, const Tensor& teacher,
                         const Tensor& labels, FusedRows& rows);

}  // namespace retort
