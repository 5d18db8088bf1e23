// Accuracy and loss of a model on images.
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "datasets/device_batch.h"
#include "datasets/loader.h"
#include "distill/evaluate/metric_totals.h"
#include "engine/distributed/communicator.h"
#include "engine/step_graph.h"
#include "models/sliced_forward.h"

namespace retort {

struct Evaluation {
  double top1 = 0, top5 = 0;  // percent
  double loss = 0;            // mean cross-entropy
  int64_t n = 0;
  struct Class {
    int64_t images = 0, correct = 0;
  };
  std::vector<Class> per_class;
};

struct EvaluateOptions {
  int64_t batch = 200;
  int workers = 1;  // of the loader
  int threads = 0;  // of the device, see images_per_slice()
  bool per_class = false;
  std::vector<int32_t> samples = {};        // empty: all images
  std::optional<Normalize> normalize = {};  // of the model's images, if not the set's own
  // Each of these processes evaluates every size()-th batch, beginning with number rank(); all of them call
  // run(), and get what one process gets, in all its bits. Null: this one does all. Not with per_class.
  Communicator* world = nullptr;
};

// Kept between evaluations of one model: its loader, memory and captured steps are set up once.
class Evaluator {
 public:
  // All must outlive it. Fault::input if the images have more classes than the model, or another side.
  Evaluator(Model& model, Device& device, const ImageSet& images, EvaluateOptions options);

  // Runs the model without a tape, batch norms folded from its present values. progress(done, total) in
  // batches. Fault::diverged if a logit or the loss is not finite: no accuracy says anything then.
  Evaluation run(const std::function<void(int64_t done, int64_t total)>& progress = {});

  const Loader& loader() const { return loader_; }

 private:
  // Of one process's batches, or of all.
  struct Sums {
    std::vector<double> losses;  // of each batch, times its images
    double top1 = 0, top5 = 0;   // right answers
    bool broken = false;
  };
  Sums of_all(const Sums& own) const;
  void evaluate(const Batch& batch, Tensor kept);

  Model& model_;
  Device& device_;
  const ImageSet& images_;
  EvaluateOptions options_;
  const int64_t images_of_all_;
  Loader loader_;  // of this process's
  DeviceBatch batch_;
  MetricTotals totals_;
  StepGraph graph_;
  SlicedForward forward_;
  Array logits_;  // of one batch, for the per-class counts
  Array broken_;  // f64: 0, or NaN once a logit was not finite
};

}  // namespace retort
