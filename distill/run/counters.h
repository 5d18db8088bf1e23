// Where a run stands between two steps, and its form in a checkpoint.
#pragma once
#include <optional>
#include <string>

#include "distill/evaluate/metric_totals.h"
#include "distill/run/run_record.h"

namespace retort {

struct Counters {
  int epoch = 1;      // in progress, from 1; one more than the run has when it is finished
  int64_t batch = 0;  // batches of it that are done
  double seconds = 0;
  double epoch_seconds = 0;  // of the epoch in progress
  double best_score = -1;    // what chose `best`; not read where there is none
  std::optional<EpochResult> best, last;
  MetricTotals::Values totals;  // of the epoch in progress
};

// Whether they are of one epoch and hold the same numbers; NaN is the same as NaN.
bool is_same(const std::optional<EpochResult>& a, const std::optional<EpochResult>& b);

// As JSON; doubles read back as the same bits.
std::string counters_text(const Counters& counters);

// Fault::input, naming the file, for what no run of these metrics can have written: a counter that is
// missing, of another type or out of its range, an epoch that is not the one after the last result.
Counters counters_from(const std::string& content, const std::string& file,
                       const Metrics& metrics = classification_metrics());

}  // namespace retort
