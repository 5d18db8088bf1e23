// Progress of a whole study: which runs are at work, how many are left, and how long that may take.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "distill/run/progress.h"
#include "distill/run/run_record.h"

namespace retort {

class StudyProgress {
 public:
  // kinds: of each run of the queue; runs of one kind ("resnet8, kd") take about the same time.
  StudyProgress(Progress& shown, std::vector<std::string> kinds, int parallel, std::function<double()> clock);

  // What the run writes to; it must not outlive this.
  std::unique_ptr<Progress> begin(size_t run, const std::string& name);

  // seconds: what the run took, over all its resumes; what found it finished already is not announced.
  void end(size_t run, const Summary& summary, const std::string& problem, bool was_there);

  // For all runs, from those that finished; NaN while nothing is known.
  double seconds_left() const;

 private:
  class View;
  struct Active {
    std::string name;
    double began_at = 0, began_share = -1, share = 0;
    BatchProgress at;
    std::string doing;
  };

  void batch(size_t run, const BatchProgress& now);
  void epoch(size_t run, const EpochMetrics& result, int epochs);
  void activity(size_t run, std::string_view name);
  void note(const std::string& message);
  void draw();
  double left() const;
  double cost_of(size_t run) const;

  Progress& shown_;
  const std::vector<std::string> kinds_;
  const int parallel_;
  const std::function<double()> clock_;
  mutable std::mutex mutex_;
  std::map<size_t, Active> active_;
  std::map<std::string, std::vector<double>> seconds_;  // of finished runs, by kind
  std::vector<bool> done_;
  size_t count_done_ = 0;
  std::set<std::string> noted_;
};

}  // namespace retort
