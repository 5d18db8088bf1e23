// One training step of a detector, alone or with a teacher.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "datasets/detection/detection_loader.h"
#include "distill/evaluate/metric_totals.h"
#include "distill/methods/distiller.h"
#include "distill/train/shards.h"
#include "engine/optim.h"
#include "models/detection/detector.h"
#include "models/detection/targets.h"

namespace retort {

// What a step works with; all of it outlives the step.
struct DetectionParts {
  Device& device;
  Detector& student;
  Distiller& distiller;
  Sgd& optimizer;
  Detector* teacher = nullptr;  // frozen; null for a method that reads none
  uint64_t seed = 1;            // of the anchors and boxes that are drawn
  bool positives = false;       // distillation looks at the boxes of objects only,
  bool background = true;       // and at the logit of background as one of the classes
  Shards* shards = nullptr;     // the parts that a batch is computed in; null: it is computed whole
};

// The student proposes and draws boxes; the same boxes go through the teacher's own pyramid and head. The
// loss is the four of detection and the method's terms on the boxes' logits, or on features: both pyramids.
class DetectionStep {
 public:
  explicit DetectionStep(DetectionParts parts);

  // Eager: boxes are chosen on the host between the two halves of the forward pass, which the step waits for.
  // weight: of the method's terms.
  void run(const HostDetections& batch, int epoch, double weight = 1);

  MetricTotals& totals() { return totals_; }
  // Of the loss terms, once a step has run.
  const std::vector<std::string>& term_names() const { return term_names_; }

 private:
  void take(const HostDetections& part, int epoch, double share);
  std::vector<LossTerm> distillation(const Var& student, const Var& teacher,
                                     const std::vector<int32_t>& classes, const Var& labels,
                                     const Pass& pass);

  DetectionParts parts_;
  MetricTotals totals_;
  Anchors anchors_;
  double weight_ = 1;
  std::vector<std::string> term_names_;
};

// What a network proposes, on the host: one list of boxes per image. Waits for the device.
std::vector<std::vector<BoundingBox>> proposals_of(const DetectorSpec& spec, const Proposed& proposed,
                                                   const std::vector<BoundingBox>& anchors,
                                                   const HostDetections& batch, bool training,
                                                   Device& device);

// A part's pictures of a batch; they stay as large as the batch's.
HostDetections part_of(const HostDetections& batch, const Part& part);

// The true boxes of a sample as targets: those whose sides are above 0 in f32 too.
TrueBoxes true_boxes(const DetectionSample& sample);

// Calls f(n) for every image of a batch, on the device's threads of the host, and waits. What f of the first
// image throws is thrown then.
void for_each_image(Device& device, size_t images, const std::function<void(size_t n)>& f);

}  // namespace retort
