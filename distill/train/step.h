// One training step, the same for the trainer, benchmarks, tests and examples.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "datasets/device_batch.h"
#include "distill/evaluate/metric_totals.h"
#include "distill/methods/distiller.h"
#include "distill/train/shards.h"
#include "distill/train/weight_average.h"
#include "engine/optim.h"
#include "engine/step_graph.h"
#include "models/model.h"

namespace retort {

// What a step works with; all of it outlives the step.
struct StepParts {
  Device& device;
  Model& student;
  Distiller& distiller;
  Sgd& optimizer;
  WeightAverage* average = nullptr;  // moved behind the optimizer
  Model* teacher = nullptr;         // frozen, its batch norms folded; null for a method that reads none
  DeviceBatch* renderer = nullptr;  // makes the batch's images in the step, where the device does that
  std::function<void()> end = {};   // called at the end of a step that is not replayed
  bool capture = true;              // false keeps every step eager
  int shards = 1;                   // parts that a batch is computed in, see shards.h
  Communicator* world = nullptr;    // those that compute the other parts; null: this process computes all
};

class TrainingStep {
 public:
  explicit TrainingStep(StepParts parts);

  // Enqueues the step: teacher and student see the batch, the method's terms are added to totals(), gradients
  // are taken and the parameters moved. teacher_logits: stored ones, B,C at an address that is fixed per
  // batch size; the teacher is asked where there are none. Waits for nothing; after its first runs a device
  // that can replays it.
  void run(const Batch& batch, const Tensor& teacher_logits = {});

  MetricTotals& totals() { return totals_; }
  // Of the loss terms, once a step has run.
  const std::vector<std::string>& term_names() const { return term_names_; }

 private:
  void enqueue(const Batch& batch, const Tensor& teacher_logits);
  void take(const Batch& part, const Tensor& teacher_logits, double share);
  void take_two_gradients(const std::vector<LossTerm>& terms, Tape& tape, const Pass& pass, double share);
  bool fused_loss(const DistillInputs& inputs, const Pass& pass);
  DistillInputs forward(const Batch& batch, const Tensor& teacher_logits, const Pass& pass);

  StepParts parts_;
  MetricTotals totals_;
  StepGraph graph_;
  std::unique_ptr<Shards> shards_;  // null where a batch is computed whole
  std::vector<std::string> term_names_;
};

}  // namespace retort
