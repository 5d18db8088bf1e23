// What a run writes down while it trains: every file of its folder but the checkpoints.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_folder.h"
#include "distill/run/run_record.h"
#include "distill/run/tensorboard.h"
#include "distill/train/assembly.h"
#include "distill/train/checkpoint.h"

namespace retort {

// Of several processes the first alone writes; what the others are told is dropped.
class RunRecords {
 public:
  RunRecords(Assembly& run, const RunFolder& folder, Progress& progress);

  // env.json and config.toml, unless the latter is `bound` to the checkpoint that the run goes on from.
  void begin(bool resume, bool bound, const Binding& binding, const std::vector<std::string>& arguments);

  void log(const std::string& line) const;
  void tell(const std::string& line) const;  // to the user and the log

  // What a run begins with on a terminal, in four lines; begin() has logged it.
  std::vector<std::string> header() const;

  // metrics.csv and TensorBoard's events from this epoch on: when the loss terms have names, at the first
  // step. known: the epochs before it.
  bool has_tables() const { return csv_ != nullptr || !writes_; }
  void open_tables(const std::vector<std::string>& terms, int epoch, const MetricsTable& known);
  void add_epoch(const EpochMetrics& row, double images_per_second);  // and the learning curves
  const MetricsTable& table() const { return csv_ ? csv_->table() : none_; }
  bool writes() const { return writes_; }

  Summary write_summary(const std::string& status, const Counters& counters, double seconds) const;

  // By which algorithms convolutions were computed, if that has changed: before a checkpoint depends on it.
  void write_convolutions();

  // Behind a step: the profile begins, goes on, or is complete and written; nothing without one.
  void profiled_step();
  void finish(const StoredTeacher* stored) const;

 private:
  Assembly& run_;
  const bool writes_;
  const MetricsTable none_;
  const RunFolder& folder_;
  Progress& progress_;
  std::unique_ptr<MetricsCsv> csv_;
  std::unique_ptr<TensorBoard> events_;
  std::vector<std::string> terms_;
  std::string convolutions_;    // as they are in the folder
  int64_t profiled_steps_ = 0;  // and those to warm up
};

}  // namespace retort
