// PCD: "Progressive Class-level Distillation", arXiv:2505.24310.
//
// The classes of each sample are ranked by how far teacher and student disagree; the ranked list is cut into
// k = 1..S groups of equal size, and each group is distilled on its own, weighted by 1 - cos of the two
// distributions within it. The released code computes another loss: see pcd_released.cpp.
//
// Near agreement lambda KL falls with the fourth power of the logit gap, plain KL with the second: what PCD
// teaches it teaches where student and teacher differ.
// Cost: +0.05 ms on kd (README.md).
#pragma once
#include "distill/methods/method_settings.h"
#include "engine/ops/ops.h"

namespace retort {

// Each part of the method has a switch, since the paper's ablation turns each off.
struct PcdSpec {
  double temperature = 4;
  int stages = 3;       // S
  int first_stage = 1;  // leaves out the partitions into fewer groups
  bool ranked =
      true;  // by |teacher - student|, descending, the lower class first at a tie; else in class order
  int directions = 2;  // fine to coarse visits S..1 groups, coarse to fine 1..S: the same partitions, so the
                       // number of directions is how often each counts
  bool cosine = true;  // lambda = 1 - cos(p, q), differentiated; else 1
};

// weight tau^2 times the sum over directions, stages k = 1..S and the k groups of mean over samples of
// lambda KL(p || q), p and q the softmaxes of teacher and student at temperature tau within the group. Groups
// have floor(C/k) classes, the last takes the rest. The ranking is not differentiated. student B,C -> [1].
// Error(Fault::usage) if S > C.
Var pcd_loss(const Pass& pass, const Var& student, const Tensor& teacher, const PcdSpec& spec,
             double weight = 1);

// Lowers a number of stages that nobody set to so many classes, for the run's settings to say it. Returns a
// line for the user, empty if nothing changed. Of methods of other kinds nothing.
std::string fit_stages(MethodSettings& settings, int64_t classes);

MethodInfo pcd_method();

}  // namespace retort
