// The loss of a step in one kernel over the samples, for devices on which a launch costs more than such
// arithmetic. A fused loss is defined by the terms that Distiller::terms() gives: a test holds the two equal.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "distill/methods/step_row.h"
#include "engine/ops/ops.h"

namespace retort {

// What a step's loss leaves.
struct FusedLoss {
  std::vector<std::string> names;  // of the terms
  Var rows;  // 3 + terms, B: for each sample its part of the loss, right answers (top-1, top-5), its part of
             // each term
  Var gradient;  // B,C: of the loss with respect to the student's logits
};

// Handed to a method, which launches its terms.
class FusedRows {
 public:
  // logits, labels: the student's and i32 B. term_scale, seed: device scalars, may be null; see StepRow.
  FusedRows(const Pass& pass, const Tensor& logits, const Tensor& labels, double ce_weight,
            const double* term_scale, const double* seed)
      : pass_(pass),
        logits_(logits),
        labels_(labels),
        ce_weight_(ce_weight),
        term_scale_(term_scale),
        seed_(seed) {}

  int64_t classes() const { return logits_.shape[1]; }
  // What a term's row is multiplied by, so that sums over rows are means over samples.
  float row_weight() const { return 1.0f / float(logits_.shape[0]); }
  void set_ce_weight(double weight) { ce_weight_ = weight; }

  // The terms with their names, everything set but loss and gradient. To be called once.
  template <class First, class Second = NoTerm<float>>
  void launch(const std::vector<std::string>& names, First first, Second second = {}) {
    const int64_t samples = logits_.shape[0];
    const bool ce = ce_weight_ > 0;
    const int64_t terms = int64_t(names.size()) + (ce ? 1 : 0);
    made_.rows = pass_.make({3 + terms, samples}, DType::f32);
    made_.gradient = pass_.make(logits_.shape, DType::f32);
    if (ce) made_.names.push_back("ce");
    made_.names.insert(made_.names.end(), names.begin(), names.end());
    float* row = made_.rows.tensor().as<float>();
    const auto next_row = [&] {
      float* own = row;
      row += samples;
      return own;
    };
    std::array<Var, 3> scratch;
    const auto gradient_of_its_own = [&](Var& memory) {
      memory = pass_.make(logits_.shape, DType::f32);
      return memory.tensor().as<float>();
    };
    StepRow<float, First, Second> kernel{};
    kernel.loss = next_row();
    kernel.top = {logits_.as<float>(), labels_.as<int32_t>(), next_row(), nullptr, classes()};
    kernel.top.correct5 = next_row();
    kernel.gradient = made_.gradient.tensor().as<float>();
    kernel.ce_weight = float(ce_weight_);
    kernel.term_scale = term_scale_;
    kernel.seed = seed_;
    kernel.cross_entropy = {logits_.as<float>(), labels_.as<int32_t>(), nullptr, nullptr,
                            classes(),           row_weight()};
    if (ce) {
      kernel.cross_entropy.loss = next_row();
      kernel.cross_entropy.gradient = gradient_of_its_own(scratch[0]);
    }
    kernel.first = first;
    kernel.second = second;
    if (!names.empty()) {
      kernel.first.loss = next_row();
      kernel.first.gradient = gradient_of_its_own(scratch[1]);
    }
    if (names.size() > 1) {
      kernel.second.loss = next_row();
      kernel.second.gradient = gradient_of_its_own(scratch[2]);
    }
    launch_rows(pass_.backend(), kernel, samples);
  }
  const FusedLoss& made() const { return made_; }

 private:
  const Pass pass_;
  const Tensor logits_, labels_;
  double ce_weight_;
  const double *term_scale_, *seed_;
  FusedLoss made_;
};

}  // namespace retort
