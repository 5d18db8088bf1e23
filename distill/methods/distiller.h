// Distiller: a distillation method at work. It turns what student and teacher say of the same images, their
// logits and where the method asks for them their features, into named loss terms.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "distill/methods/fused_loss.h"
#include "distill/methods/method_context.h"
#include "distill/methods/method_settings.h"
#include "engine/ops/ops.h"
#include "layers/module.h"

namespace retort {

// One part of a loss, weighted: a loss is the sum of its terms.
struct LossTerm {
  std::string name;
  Var value;  // [1]
};

// The logits of both networks for the same images, B,C. What comes from the teacher is treated as constant.
struct Logits {
  Var student = {};
  Var teacher = {};  // empty for a method that reads no teacher
};

// What a method may read of a batch.
struct DistillInputs {
  Logits logits;
  Var labels = {};     // i32, B
  Logits strong = {};  // of a second, strongly augmented view of the same images; may be empty
  Var indices = {};    // i32, B: which image of the training set each sample is
  // What both networks gave for the first view, features included, for a method that reads features.
  struct Features {
    Outputs student = {}, teacher = {};
  } features = {};
  // Both networks' last layers, of rows like Outputs::pooled to logits, for a method that reads features;
  // empty where a network has none of its own.
  struct Classifiers {
    std::function<Var(const Var&rows)> student, teacher;
  } classifiers = {};
};

class Distiller : public Module {
 public:
  Distiller(const MethodSettings& settings, Device& device);
  Distiller(const Distiller&) = delete;
  Distiller& operator=(const Distiller&) = delete;

  const MethodSettings& settings() const { return settings_; }

  // What a method learns besides the student (parameters) and remembers (buffers): parameters join the
  // student's optimiser, both the checkpoints, neither the student's export.
  void visit(Visitor&) override {}

  // From now on the cross-entropy with the labels is (1 - s) of it and s of the mean of -log q over all classes:
  // torch's CrossEntropyLoss(label_smoothing = s). Szegedy et al., arXiv:1512.00567, section 7.
  void smooth_labels(double smoothing) { smoothing_ = smoothing; }

  // To be called before the first step of an epoch, counted from 1: sets the scalars that depend on it.
  virtual void begin_epoch(int epoch);

  // The loss of a training step: "ce", the cross-entropy of the student's raw logits with the labels times
  // ce_weight (summed over the views), then w(e) times each distillation term, w(e) = min(epoch / warmup, 1),
  // or 1 without warm-up.
  std::vector<LossTerm> terms(const DistillInputs& inputs, const Pass& pass);

  // The same loss, its gradient and what metrics need of it in one kernel, where the method and the inputs
  // allow that (logits in f32, one view, nothing standardised or smoothed); nothing, and nothing enqueued,
  // where they do not. seed: what the loss is multiplied by before backward, or null. pass has no tape for it.
  std::optional<FusedLoss> fused(const DistillInputs& inputs, const Pass& pass, const Scalar* seed);

  // The distillation terms alone, without cross-entropy and warm-up.
  std::vector<LossTerm> distillation_terms(const DistillInputs& inputs, const Pass& pass);

 protected:
  // What a method defines. The inputs have been checked.
  virtual std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) = 0;

  // A method whose terms are row kernels launches them; the inputs have been checked.
  virtual bool fuse(const DistillInputs&, FusedRows&) { return false; }

  // The logits as the distillation terms see them: standardised if the setting says so.
  Logits prepared(const Logits& logits, const Pass& pass) const;

  // The cross-entropy of a training step's logits with the labels, smoothed if they are.
  Var label_loss(const Var& logits, const Tensor& labels, const Pass& pass) const;

  Device& device() { return device_; }

 private:
  void check_inputs(const DistillInputs& inputs, bool labels) const;

  MethodSettings settings_;
  Device& device_;
  double ce_weight_ = 0, warmup_epochs_ = 0, smoothing_ = 0;
  bool standardize_ = false;
  Scalar warmup_;
};

// weight * x
Var weighted(const Pass& pass, const Var& x, double weight);

// The sum of the terms, [1].
Var total(const std::vector<LossTerm>& terms, const Pass& pass);

// For a MethodInfo's make.
template <class Method>
std::unique_ptr<Distiller> construct(const MethodSettings& settings, Device& device,
                                     const MethodContext& context) {
  if constexpr (std::is_constructible_v<Method, const MethodSettings&, Device&, const MethodContext&>) {
    return std::make_unique<Method>(settings, device, context);
  } else {
    return std::make_unique<Method>(settings, device);
  }
}

}  // namespace retort
