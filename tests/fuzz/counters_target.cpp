// Where a checkpoint says that its run stands, of classifiers and of detectors. What is taken is written and
// read back as the same.
#include <stdexcept>

#include "distill/evaluate/metric_totals.h"
#include "distill/run/counters.h"
#include "engine/base/check.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

void read_counters_of(const Metrics& metrics, const std::string& content) {
  static const auto device = Device::open({.name = "portable", .threads = 1});
  static MetricTotals totals(*device);
  const Counters counters = counters_from(content, "fuzz", metrics);
  totals.restore(counters.totals);
  const std::string text = counters_text(counters);
  if (counters_text(counters_from(text, "again", metrics)) != text)
    throw std::logic_error("counters that were taken read back as others");
}

}  // namespace

void read_counters(Bytes bytes) {
  for (const Metrics& metrics : known_metrics()) {
    try {
      read_counters_of(metrics, text_of(bytes));
    } catch (const Error& error) {  // those of the other kind
      if (error.fault() != Fault::input) throw;
    }
  }
}

}  // namespace retort::fuzz
