// metrics.csv: one row per epoch, epoch,lr,train_loss, the columns of the run's metrics, seconds, and then
// one column per loss term; of a classifier
// epoch,lr,train_loss,train_acc,test_loss,test_acc,test_acc_top5,seconds. Numbers are printed so that reading
// gives back the same double.
#pragma once
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "distill/text/metric.h"

namespace retort {

// NaN for what was not measured.
struct EpochMetrics {
  int epoch = 0;
  double lr = 0, train_loss = 0;
  double trained = std::numeric_limits<double>::quiet_NaN();  // the first metric, on the images trained on
  MetricValues tested;                                        // on the test images
  double seconds = 0;
  std::vector<double> terms;  // mean of each loss term, in the order of the table's names

  MetricValue first() const { return tested.empty() ? MetricValue{} : tested[0]; }  // what chooses the best
};

// What an epoch's row holds of results, by the names of the columns and in their order.
using NamedNumbers = std::vector<std::pair<std::string, double>>;
NamedNumbers measured_in(const EpochMetrics& row);

struct MetricsTable {
  Metrics metrics = classification_metrics();
  std::vector<std::string> terms;
  std::vector<EpochMetrics> rows;  // ascending epochs
};

// A last line without line end was cut off by a kill and is left out. Anything else that is not a metrics
// file is Fault::input, naming file, line, what was found and expected. Columns that are none of
// known_metrics() become metrics of their names.
MetricsTable read_metrics(const std::filesystem::path& file);

// The same from and to text; `name` stands for the file in messages.
MetricsTable parse_metrics(const std::string& content, const std::string& name);
std::string metrics_text(const MetricsTable& table);

// Of two tables of one run: the epochs up to `last` that the first lacks or holds otherwise, seconds aside.
std::vector<int> epochs_that_differ(const MetricsTable& found, const MetricsTable& expected, int last);

class MetricsCsv {
 public:
  // first_epoch: the epoch that will be appended next. Rows of that and later epochs, which a resumed run
  // computes again, are dropped. Other metrics or terms than those in the file are Fault::input. known: the
  // rows before it, from a checkpoint, in place of the file's.
  MetricsCsv(const std::filesystem::path& file, const Metrics& metrics, const std::vector<std::string>& terms,
             int first_epoch, const MetricsTable* known = nullptr);

  // Epochs ascend. The row is on the disk when this returns.
  void append(const EpochMetrics& row);

  // All rows so far, those before a resume included.
  const MetricsTable& table() const { return table_; }

 private:
  std::filesystem::path file_;
  MetricsTable table_;
};

}  // namespace retort
