// A step in parts: each part of a batch is computed alone, and what the parts give, gradients, batch norms'
// statistics and what is counted, is summed in the order of a tree (engine/distributed/tree.h).
#pragma once
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "datasets/device_batch.h"
#include "distill/evaluate/metric_totals.h"
#include "distill/settings/settings.h"
#include "engine/distributed/buckets.h"
#include "engine/distributed/communicator.h"
#include "engine/distributed/device_sum.h"
#include "engine/distributed/tree.h"
#include "engine/optim.h"
#include "layers/layers.h"

namespace retort {

// A part's rows of everything in a batch, and of one tensor.
Batch part_of(const Batch& batch, const Part& part);
Tensor rows_of(const Tensor& tensor, const Part& part);

// Fault::usage if a run of these settings cannot be trained in parts, or not by so many processes: each has a
// power of two of parts, so that theirs is a subtree of the sum. images: of an epoch.
void check_shards(const RunSettings& settings, int64_t images, int processes);

// A line for the log where a loss that relates the images of a batch sees those of a part alone.
std::string shards_note(const RunSettings& settings);

// Makes room for a part's sums, and lets a pass write there: gradients, and in place of running statistics
// what the batch norms of this pass see. All modules outlive it.
class Shards {
 public:
  struct Learner {
    Sgd& optimizer;
    std::vector<NamedParameter> parameters;  // as the optimizer got them
    // With the batch norms that move in a pass of a part: in the first, and in that of a second view.
    std::vector<Module*> modules, modules_of_second_view = {};
  };
  // world: the processes that share the parts, see check_shards(); null: this one has them all.
  Shards(Device& device, const Learner& learner, int count, Communicator* world = nullptr);

  int count() const { return count_; }
  const OwnParts& own() const { return own_; }  // this process's

  // A step of so many images: of each part in order begin(), a pass and note(), where there is one a second
  // view's pass behind begin_second_view(), backward and end(); or skip(). Then finish(). Where the device
  // sums over the processes, gradients are on their way while backward goes on.
  void begin(int64_t images);
  void begin_second_view();
  // The part's loss and terms, and how many of its images were right. To be called before backward.
  void note(const Var& loss, const std::vector<LossTerm>& terms, const Var& logits, const Tensor& labels,
            const Pass& pass);
  void end(double share);  // of the batch
  void skip() { sum_.skip(); }
  // Adds what the other processes give. Leaves the sums where the optimizer reads gradients, moves the
  // running statistics, and adds what was noted to the totals. images: of the whole batch.
  void finish(int64_t images, MetricTotals& totals);

 private:
  // A batch norm, and where its statistics are in a part's tail: the mean, behind it the variance.
  struct Norm {
    BatchNorm* layer;
    Array running_mean, running_var;
    double momentum;
    int64_t offset;
  };
  struct Gradient {
    Parameter* parameter;
    size_t offset;  // bytes
  };
  // What a part gives. Its tail: the statistics of the first pass, of the second, loss and terms, all to be
  // weighted by the part's share of the batch; then right answers, which are counts.
  struct Place {
    Tensor gradients;
    Array tail;
  };
  std::vector<Norm> norms_of(const std::vector<Module*>& modules);
  void observe(std::vector<Norm>& norms);
  void move_running(std::vector<Norm>& norms);
  std::vector<bool> givers(int64_t images) const;
  void add_others(int64_t images, bool gives);
  void begin_sum(int64_t first, int64_t count);  // of gradients
  Tensor tail(int place, int64_t first, const Shape& shape) const;

  Device& device_;
  const int count_;
  Communicator* const world_;
  const OwnParts own_;
  std::vector<Gradient> gradients_;
  std::shared_ptr<DeviceSum> device_sum_;  // null where the host's memory is summed
  // Of gradients that are summed before backward ends: where a process has one part, and one gradient.
  std::optional<Buckets> buckets_;
  std::unordered_map<const Parameter*, size_t> numbers_;  // of the parameters in gradients_
  std::vector<bool> gives_;                               // which processes have something of the batch
  int64_t statistics_ = 0;  // numbers of them in a tail; counted while the next two are made
  std::vector<Norm> first_, second_;
  std::vector<Array> memory_;
  std::vector<Place> places_;  // the first one's gradients are where the optimizer reads them
  TreeSum sum_;
  int64_t terms_ = 0;
};

}  // namespace retort
