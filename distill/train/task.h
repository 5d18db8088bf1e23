// What a run trains on and is judged by. The trainer's loop knows no more of it, so that it is one loop for
// classifiers and detectors.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/loader.h"
#include "distill/evaluate/metric_totals.h"
#include "distill/methods/distiller.h"
#include "distill/settings/settings.h"
#include "distill/teacher/teacher.h"
#include "distill/text/metric.h"
#include "distill/train/weight_average.h"
#include "engine/distributed/communicator.h"
#include "engine/optim.h"

namespace retort {

class Task {
 public:
  virtual ~Task() = default;

  // That are trained on; the batches of an epoch; how many images those before number `batch` of the epoch in
  // progress hold.
  virtual int64_t images() const = 0;
  virtual int64_t batches() const = 0;
  virtual int64_t images_before(int64_t batch) const = 0;
  // What there is: "1,920 training images, 480 test images".
  virtual std::string images_text() const = 0;
  // How photos become images, and what memory that takes at most; empty where there are none.
  virtual std::string photos_text() const { return ""; }
  // That could not be read so far.
  virtual BadPictures bad_pictures() const { return {}; }

  virtual void begin_epoch(int epoch, int64_t first_batch) = 0;
  // One step with the epoch's next batch; an epoch has batches() of them.
  virtual void step() = 0;
  virtual MetricTotals& totals() = 0;
  // Of the loss terms, once a step has been made.
  virtual const std::vector<std::string>& term_names() const = 0;
  // What a run is judged by: its columns, JSON keys and words. The first chooses the best epoch.
  virtual const Metrics& metrics() const = 0;
  // The first one in training, so many images long: NaN where it is not measured.
  virtual double trained(const MetricTotals::Values& totals, double images) const = 0;

  // The metrics on the test images, and the first one on the images that choose the best epoch; NaN never
  // does. `activity` is called now and then with how many images are done, of how many.
  using Activity = std::function<void(int64_t done, int64_t total)>;
  struct Tested {
    MetricValues values;
    double score = 0;
  };
  virtual Tested test(const Activity& activity) = 0;
};

// What a task is made of; all of it outlives the task.
struct TaskParts {
  Device& device;
  Model& student;
  Distiller& distiller;
  Sgd& optimizer;
  WeightAverage& average;
  Teacher* teacher = nullptr;  // null for a method that reads none
  const DataSet& data;
  const RunSettings& settings;
  Normalize student_sees;
  Communicator* world = nullptr;  // the other processes of the run
};

}  // namespace retort
