// Where a checkpoint says that its run stands. What is taken is written and read back as the same.
#include <stdexcept>

#include "distill/evaluate/metric_totals.h"
#include "distill/train/counters.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_counters(Bytes bytes) {
  static const auto device = Device::open({.name = "portable", .threads = 1});
  static MetricTotals totals(*device);
  const Counters counters = counters_from(text_of(bytes), "fuzz");
  totals.restore(counters.totals);
  const std::string text = counters_text(counters);
  if (counters_text(counters_from(text, "again")) != text)
    throw std::logic_error("counters that were taken read back as others");
}

}  // namespace retort::fuzz
