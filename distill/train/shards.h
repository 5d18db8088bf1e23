// A step in parts: each part of a batch is computed alone, and what the parts give, gradients, batch norms'
// statistics and what is counted, is summed in the order of a tree (engine/distributed/tree.h).
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "datasets/device_batch.h"
#include "distill/evaluate/metric_totals.h"
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

// What a part of a batch, this share of its images, adds to the batch's mean loss.
Var of_share(const Var& loss, double share, const Pass& pass);

// Makes room for a part's sums, and lets a pass write there: gradients, and in place of running statistics
// what the batch norms of this pass see. All modules outlive it.
class Shards {
 public:
  struct Learner {
    Sgd& optimizer;
    // With the batch norms that move in a pass of a part: in the first, and in that of a second view.
    std::vector<Module*> modules, modules_of_second_view = {};
  };
  // world: the processes that share the parts, see check_shards(); null: this one has them all.
  Shards(Device& device, const Learner& learner, int count, Communicator* world = nullptr);

  // A step of so many images: `take` is called for each part that is this process's and not empty, in order,
  // and makes a pass, calls note(), then goes backward from of_share(loss). What the other processes give is
  // added; where the device sums over them, gradients are on their way while backward goes on. Leaves the
  // sums where the optimizer reads gradients, moves the running statistics, and adds what was noted to the
  // totals. Where all of this process's are empty in its first step, it is called for another one's, so that
  // the terms are known, and what that gives is dropped.
  using Take = std::function<void(const Part& part, double share)>;
  void run(int64_t images, const Take& take, MetricTotals& totals);
  // Behind the first view's pass of a part, where there is a second.
  void begin_second_view();
  // The part's loss and terms, and, where rows have one right answer, how many were right. To be called
  // before backward.
  void note(const Var& loss, const std::vector<LossTerm>& terms, const Var& logits, const Tensor& labels,
            const Pass& pass);
  void note(const Var& loss, const std::vector<LossTerm>& terms, const Pass& pass);

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
  void note_losses(const Var& loss, const std::vector<LossTerm>& terms, const Pass& pass);
  void begin();
  void end(double share);  // of the batch
  void finish(int64_t images, MetricTotals& totals);
  std::vector<Norm> norms_of(const std::vector<Module*>& modules);
  void observe(std::vector<Norm>& norms);
  void move_running(std::vector<Norm>& norms);
  std::vector<bool> givers(int64_t images) const;
  void add_others(bool gives);
  void begin_sum(int64_t first, int64_t count);  // of gradients
  Tensor tail(int place, int64_t first, const Shape& shape) const;

  Device& device_;
  const int count_;
  Communicator* const world_;
  const OwnParts own_;
  std::vector<Gradient> gradients_;
  std::shared_ptr<DeviceSum> device_sum_;  // null where the host's memory is summed
  // Of gradients that are summed before backward of a process's last part ends: where there is one of each.
  std::optional<Buckets> buckets_;
  std::unordered_map<const Parameter*, size_t> numbers_;  // of the parameters in gradients_
  std::vector<bool> gives_;                               // which processes have something of the batch
  int64_t statistics_ = 0;  // numbers of them in a tail; counted while the next two are made
  std::vector<Norm> first_, second_;
  std::vector<Array> memory_;
  std::vector<Place> places_;  // the first one's gradients are where the optimizer reads them
  TreeSum sum_;
  bool last_ = false;      // that the part is computed which is this process's last
  std::vector<int> ways_;  // while gradients of it are added range by range: from its place down to the first
  int64_t terms_ = -1;     // not known yet
};

}  // namespace retort
