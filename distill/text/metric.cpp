#include "distill/text/metric.h"

#include <algorithm>
#include <cmath>

#include "distill/text/text_format.h"
#include "engine/base/byte_reader.h"
#include "engine/base/check.h"

namespace retort {

bool Metric::better(double a, double b) const {
  return higher_is_better ? a > b : a < b;
}

bool Metric::is_measured(double value) const {
  return !std::isnan(value) && value != none;
}

std::string Metric::not_measured() const {
  return title + " was not measured" + (why_none.empty() ? "." : ": " + why_none + ".");
}

std::string Metric::number(double value, int percent) const {
  return is_measured(value) ? fixed(value, in_percent() ? percent : digits()) : "-";
}

std::string Metric::shown(double value, int percent) const {
  return number(value, percent) + (unit.empty() || !is_measured(value) ? "" : " " + unit);
}

std::string Metric::labelled(const std::string& label) const {
  return label + (unit.empty() ? "" : ", " + unit);
}

std::string Metric::of_differences() const {
  return in_percent() ? "points" : word;
}

const Metrics& classification_metrics() {
  static const Metrics all = {{.name = "top1",
                               .column = "test_acc",
                               .word = "top-1",
                               .title = "Top-1",
                               .unit = "%",
                               .training = "train_acc",
                               .low = 0,
                               .high = 100},
                              {.name = "top5",
                               .column = "test_acc_top5",
                               .word = "top-5",
                               .title = "Top-5",
                               .unit = "%",
                               .low = 0,
                               .high = 100},
                              {.name = "loss",
                               .column = "test_loss",
                               .word = "test loss",
                               .title = "Loss",
                               .unit = "",
                               .higher_is_better = false,
                               .training = "train_loss"}};
  return all;
}

const Metrics& detection_metrics() {
  const auto precision = [](const std::string& name) {
    return Metric{.name = name,
                  .column = name,
                  .word = name,
                  .title = name + ", as COCO scores it,",
                  .unit = "%",
                  .low = -1,
                  .high = 100,
                  .none = -1,
                  .why_none = "the test images hold no box to find"};
  };
  static const Metrics all = {precision("AP"), precision("AP50"), precision("AP75")};
  return all;
}

const std::vector<Metrics>& known_metrics() {
  static const std::vector<Metrics> all = {classification_metrics(), detection_metrics()};
  return all;
}

Metric metric_named(const std::string& name) {
  for (const Metrics& metrics : known_metrics())
    for (const Metric& metric : metrics)
      if (metric.name == name) return metric;
  return {.name = name, .column = name, .word = name, .title = name, .unit = ""};
}

namespace {

// Letters, digits and `others` alone.
bool consists_of_words(const std::string& text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || others.find(c) != others.npos;
  });
}

}  // namespace

Metric metric_of_file(const std::string& name) {
  check(!name.empty() && name.size() <= 40 && consists_of_words(name, "_.-"), Fault::input,
        "a metric is called ", in_quotes(name), ", expected at most 40 letters, digits, '_', '.' and '-'");
  return metric_named(name);
}

Metric metric_of_file(const std::string& name, const std::string& unit, bool higher_is_better) {
  Metric metric = metric_of_file(name);
  check(unit.size() <= 10 && consists_of_words(unit, "%/_.- "), Fault::input, "the unit of ", name, " is ",
        in_quotes(unit), ", expected at most 10 letters, digits and %/_.-");
  metric.unit = unit;
  metric.higher_is_better = higher_is_better;
  return metric;
}

MetricValues valued(const Metrics& metrics, const std::vector<double>& values) {
  check(values.size() == metrics.size(), "metrics: ", values.size(), " values of ", metrics.size(),
        " metrics");
  MetricValues all;
  for (size_t i = 0; i < metrics.size(); ++i) all.push_back({metrics[i], values[i]});
  return all;
}

double value_of(const MetricValues& values, const std::string& name) {
  for (const MetricValue& one : values)
    if (one.metric.name == name) return one.value;
  return std::numeric_limits<double>::quiet_NaN();
}

double first_of(const MetricValues& values) {
  return values.empty() ? std::numeric_limits<double>::quiet_NaN() : values.front().value;
}

MetricValues in_columns(MetricValues values) {
  std::stable_partition(values.begin(), values.end(),
                        [](const MetricValue& one) { return one.metric.is_loss(); });
  return values;
}

}  // namespace retort
