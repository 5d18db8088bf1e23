#include "distill/run/counters.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "distill/run/json_bounds.h"
#include "engine/base/check.h"

namespace retort {

namespace {

using Json = nlohmann::json;

Json json_of(const std::optional<EpochResult>& result) {
  if (!result) return nullptr;
  Json json = {{"epoch", result->epoch}};
  for (const MetricValue& one : result->values) json[one.metric.name] = one.value;
  return json;
}

// As much of a value as a message needs.
std::string shown(const Json& value) {
  const std::string all = value.dump();
  return all.size() <= 40 ? all : all.substr(0, 40) + "...";
}

// Entries of an object, each in the range that a run can give it.
class Numbers {
 public:
  Numbers(const Json& object, std::string file) : object_(object), file_(std::move(file)) {}

  double real(const std::string& key, double low, double high) const {
    const Json& value = at(key);
    check(value.is_number(), Fault::input, file_, ": counter ", key, " is ", shown(value),
          ", expected a number");
    const double number = value.get<double>();
    check(number >= low && number <= high, Fault::input, file_, ": counter ", key, " is ", number,
          ", expected ", low, " to ", high);
    return number;
  }
  int64_t integer(const char* key, int64_t low, int64_t high) const {
    const Json& value = at(key);
    check(value.is_number_integer(), Fault::input, file_, ": counter ", key, " is ", shown(value),
          ", expected an integer");
    return int64_t(real(key, double(low), double(high)));
  }
  // Null, or what the key holds.
  std::optional<EpochResult> result(const char* key, const Metrics& metrics) const {
    // Once detectors had a classifier's keys.
    static const char* const old_names[] = {"top1", "top5", "loss"};
    const Json& value = at(key);
    if (value.is_null()) return std::nullopt;
    const Numbers own(value, text(file_, ": ", key));
    EpochResult result{.epoch = int(own.integer("epoch", 1, most_epochs)), .values = {}};
    for (size_t i = 0; i < metrics.size(); ++i) {
      const Metric& m = metrics[i];
      const std::string name = i < std::size(old_names) && !value.contains(m.name) ? old_names[i] : m.name;
      // JSON has no NaN: a loss that was none is null.
      const bool none = !m.in_percent() && own.at(name).is_null();
      result.values.push_back(
          {m, none ? std::numeric_limits<double>::quiet_NaN()
                   : own.real(name, std::max(m.low, -largest), std::min(m.high, largest))});
    }
    return result;
  }
  std::vector<double> list(const char* key, size_t longest) const {
    const Json& value = at(key);
    check(value.is_array() && value.size() <= longest, Fault::input, file_, ": counter ", key, " holds ",
          value.size(), " entries, expected at most ", longest);
    std::vector<double> all;
    for (const Json& entry : value) {
      check(entry.is_number() && std::abs(entry.get<double>()) <= largest, Fault::input, file_, ": counter ",
            key, " holds ", shown(entry), ", expected a number");
      all.push_back(entry);
    }
    return all;
  }

  static constexpr int most_epochs = 1000001;
  static constexpr double largest = 1e300;  // sums go on being added to

 private:
  const Json& at(const std::string& key) const {
    check(object_.is_object() && object_.contains(key), Fault::input, file_, ": counter ", key,
          " is missing");
    return object_[key];
  }

  const Json& object_;
  const std::string file_;
};

}  // namespace

bool is_same(const std::optional<EpochResult>& a, const std::optional<EpochResult>& b) {
  if (!a || !b) return !a && !b;
  return a->epoch == b->epoch && a->values.size() == b->values.size() &&
         std::all_of(a->values.begin(), a->values.end(), [&](const MetricValue& one) {
           const double other = b->value(one.metric.name);
           return one.value == other || (std::isnan(one.value) && std::isnan(other));
         });
}

std::string counters_text(const Counters& c) {
  return Json{{"epoch", c.epoch},           {"batch", c.batch},
              {"seconds", c.seconds},       {"epoch_seconds", c.epoch_seconds},
              {"best_score", c.best_score}, {"best", json_of(c.best)},
              {"last", json_of(c.last)},    {"loss", c.totals.loss},
              {"top1", c.totals.top1},      {"top5", c.totals.top5},
              {"terms", c.totals.terms}}
      .dump();
}

Counters counters_from(const std::string& content, const std::string& file, const Metrics& metrics) {
  const Json object = parse_json<Json>(content, file);
  const Numbers j(object, file);
  constexpr int64_t most_batches = int64_t{1} << 31;
  Counters c;
  c.epoch = int(j.integer("epoch", 1, Numbers::most_epochs));
  c.batch = j.integer("batch", 0, most_batches);
  c.seconds = j.real("seconds", 0, 1e12);
  c.epoch_seconds = j.real("epoch_seconds", 0, 1e12);
  c.best_score = j.real("best_score", std::min(-1.0, metrics[0].low), metrics[0].high);
  c.best = j.result("best", metrics);
  c.last = j.result("last", metrics);
  const double images = double(most_batches) * (1 << 20);
  c.totals = {j.real("loss", -Numbers::largest, Numbers::largest), j.real("top1", 0, images),
              j.real("top5", 0, images), j.list("terms", MetricTotals::max_terms)};
  check(c.batch == 0 || !c.totals.terms.empty(), Fault::input, file, ": counter terms is empty after ",
        c.batch, " batches");
  const int finished = c.last ? c.last->epoch : 0;
  check(finished == c.epoch - 1, Fault::input, file, ": counter epoch is ", c.epoch,
        ", but the last result is of "
        "epoch ",
        finished);
  check(!c.best || (c.last && c.best->epoch <= c.last->epoch), Fault::input, file,
        ": counter best is of epoch ", c.best ? c.best->epoch : 0, ", later than the last one");
  return c;
}

}  // namespace retort
