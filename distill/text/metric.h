// What a network is judged by: a metric's names in files and to readers, its unit, and which way is better.
#pragma once
#include <limits>
#include <string>
#include <vector>

namespace retort {

struct Metric {
  std::string name;    // in JSON: "top1"
  std::string column;  // in metrics.csv and TensorBoard: "test_acc"
  std::string word;    // in a line: "top-1"
  std::string title;   // at the head of a sentence: "AP, as COCO scores it,"
  std::string unit;    // "%" or nothing
  bool higher_is_better = true;
  // The column of the same while training, "train_acc": it begins with train_. Empty: it is not measured.
  std::string training = {};
  // What a run can give; NaN, for none, aside.
  double low = -std::numeric_limits<double>::max(), high = std::numeric_limits<double>::max();
  // What files hold, beside NaN, where there was nothing to measure it on, and why that is.
  double none = std::numeric_limits<double>::quiet_NaN();
  std::string why_none = {};

  bool is_measured(double value) const;
  std::string not_measured() const;  // a sentence: "Top-1 was not measured."
  bool in_percent() const { return unit == "%"; }
  // The loss that is trained on, on the test images: it stands beside that of training, not among the scores.
  bool is_loss() const { return training == "train_loss"; }
  bool better(double a, double b) const;  // of NaN false
  int digits() const { return in_percent() ? 2 : 4; }
  // "76.54", and "76.54 %"; "-" of what was not measured. percent: how many decimals percentages have.
  std::string number(double value, int percent = 2) const;
  std::string shown(double value, int percent = 2) const;
  std::string labelled(const std::string& label) const;  // "LABEL, %", for axes
  std::string of_differences() const;                    // "points" of percentages, else its word
};

// The first of a list chooses a run's best epoch.
using Metrics = std::vector<Metric>;

const Metrics& classification_metrics();  // top1, top5, loss
const Metrics& detection_metrics();       // AP, AP50, AP75: -1 for none, as COCO has it
// The lists of all tasks: a file's names and columns are looked up in them.
const std::vector<Metrics>& known_metrics();

// The known metric of that name; else one that is called so everywhere, the higher the better.
Metric metric_named(const std::string& name);

// The same of a name that a file gives, and of its unit: Fault::input for what is no word of at most 40
// letters, digits, "_", "." and "-", or no unit of at most 10 bytes.
Metric metric_of_file(const std::string& name);
Metric metric_of_file(const std::string& name, const std::string& unit, bool higher_is_better);

struct MetricValue {
  Metric metric = {};
  double value = std::numeric_limits<double>::quiet_NaN();

  bool is_measured() const { return metric.is_measured(value); }
};
using MetricValues = std::vector<MetricValue>;

// One value a metric, in the list's order.
MetricValues valued(const Metrics& metrics, const std::vector<double>& values);
// NaN where there is none of that name, or none at all.
double value_of(const MetricValues& values, const std::string& name);
double first_of(const MetricValues& values);

// In the order of a table's columns: the loss first, beside that of training.
MetricValues in_columns(MetricValues values);

}  // namespace retort
