#include "distill/run/run_record.h"

#include <sys/utsname.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "distill/run/json_bounds.h"
#include "distill/run/run_folder.h"
#include "distill/run/sealed.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace {

using Json = nlohmann::ordered_json;

// Arguments and host names are bytes, JSON is UTF-8: what is not becomes U+FFFD instead of an error.
std::string printed(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json json_of(const Environment& environment) {
  return {{"version", environment.version},
          {"commit", environment.commit.hash},
          {"changed", environment.commit.changed},
          {"compiler", environment.compiler},
          {"system", environment.system},
          {"host", environment.host},
          {"processor", environment.machine.processor},
          {"cores", environment.machine.cores},
          {"usable_cores", environment.machine.usable_cores},
          {"memory_bytes", environment.machine.memory_bytes},
          {"started", environment.started},
          {"device", environment.device},
          {"devices", environment.devices},
          {"libraries", environment.libraries},
          {"arguments", environment.arguments},
          {"seed", environment.seed},
          {"data", environment.data},
          {"data_hash", environment.data_hash},
          {"teacher_hash", environment.teacher_hash},
          {"normalization", environment.normalization}};
}

Json json_of(const std::optional<EpochResult>& result, const Metrics& metrics) {
  if (!result) return nullptr;
  Json json = {{"epoch", result->epoch}};
  for (const Metric& metric : metrics) json[metric.name] = result->value(metric.name);
  return json;
}

double number_of(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

constexpr int most_epochs = 1000001;  // one more than a run may have
constexpr int most_views = 162;

// Numbers of a summary, in the range that a run gives them: a hash that is right makes none of them true.
class SummaryReader {
 public:
  SummaryReader(const Json& object, const std::filesystem::path& file) : object_(object), file_(file) {}

  std::string word(const char* key) const { return object_.at(key).get<std::string>(); }
  int integer(const char* key, int low, int high) const {
    const Json& value = object_.at(key);
    check(value.is_number_integer() && value >= low && value <= high, Fault::input, file_.string(), ": ", key,
          " is ", value.dump().substr(0, 40), ", expected ", low, " to ", high);
    return value.get<int>();
  }
  // Null is a number that was none.
  double real(const char* key, double low, double high) const {
    const double value = number_of(object_.at(key));
    check(std::isnan(value) || (value >= low && value <= high), Fault::input, file_.string(), ": ", key,
          " is ", value, ", expected ", low, " to ", high);
    return value;
  }
  // What the file says of them; older ones name them in their results alone.
  Metrics metrics() const {
    Metrics all;
    if (object_.contains("metrics")) {
      for (const auto& [name, entry] : object_.at("metrics").items()) {
        all.push_back(
            metric_of_file(name, entry.at("unit").get<std::string>(), entry.at("better") == "higher"));
      }
    } else if (object_.at("last").is_object()) {
      for (const auto& [name, value] : object_.at("last").items())
        if (name != "epoch") all.push_back(metric_of_file(name));
    }
    return all.empty() ? classification_metrics() : all;
  }
  std::optional<EpochResult> result(const char* key, const Metrics& metrics) const {
    const Json& value = object_.at(key);
    if (value.is_null()) return std::nullopt;
    const SummaryReader own(value, file_);
    EpochResult result{.epoch = own.integer("epoch", 0, most_epochs), .values = {}};
    for (const Metric& metric : metrics)
      result.values.push_back({metric, own.real(metric.name.c_str(), metric.low, metric.high)});
    return result;
  }

 private:
  const Json& object_;
  const std::filesystem::path& file_;
};

Json metrics_json_of(const Summary& summary) {
  Json all = Json::object();
  for (const Metric& metric : summary.metrics) {
    const auto value = [&](const std::optional<EpochResult>& result) {
      return result ? Json(result->value(metric.name)) : Json(nullptr);
    };
    all[metric.name] = {{"unit", metric.unit},
                        {"better", metric.higher_is_better ? "higher" : "lower"},
                        {"best", value(summary.best)},
                        {"last", value(summary.last)}};
  }
  return all;
}

}  // namespace

std::string metrics_json(const Summary& summary) {
  return metrics_json_of(summary).dump();
}

Environment this_environment() {
  Environment environment;
  environment.version = RETORT_VERSION;
  environment.commit = built_commit();
  environment.compiler = RETORT_COMPILER;
  utsname system{};
  if (::uname(&system) == 0) {
    environment.system = text(system.sysname, ' ', system.release, ' ', system.machine);
    environment.host = system.nodename;
  }
  environment.machine = this_machine();
  environment.started = utc_time();
  return environment;
}

Json read_environment(const std::filesystem::path& file) {
  const Json json = parse_json<Json>(read_text_file(file, 64 << 20), file.string());
  check(json.is_object() && (!json.contains("resumed") || json["resumed"].is_array()), Fault::input,
        file.string(), ": is not what a run wrote there, expected a JSON object; move it away to resume");
  check_seal(json, file);
  return json;
}

void write_environment(const std::filesystem::path& file, const Environment& environment, bool resumed) {
  Json json = json_of(environment);
  if (resumed && std::filesystem::exists(file)) {
    Json first = read_environment(file);
    first["resumed"].push_back(json);
    json = first;
  }
  write_file(file, printed(sealed(json)));
}

std::string recorded_data_hash(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return "";
  const Json json = read_environment(file);
  const bool recorded = json.contains("data_hash") && json["data_hash"].is_string();
  return recorded ? json["data_hash"].get<std::string>() : "";
}

void write_summary(const std::filesystem::path& file, const Summary& summary) {
  Json json = {{"schema", 1},
               {"status", summary.status},
               {"command", summary.command},
               {"model", summary.model},
               {"teacher", summary.teacher},
               {"method", summary.method},
               {"data", summary.data},
               {"device", summary.device},
               {"seed", summary.seed},
               {"views", summary.views},
               {"epochs", summary.epochs},
               {"epochs_done", summary.epochs_done},
               {"seconds", summary.seconds},
               {"best_by", summary.best_by},
               {"best", json_of(summary.best, summary.metrics)},
               {"last", json_of(summary.last, summary.metrics)},
               {"metrics", metrics_json_of(summary)},
               {"weights_hash", summary.weights_hash},
               {"teacher_hash", summary.teacher_hash}};
  if (summary.bad_pictures > 0) json["bad_pictures"] = summary.bad_pictures;
  write_file(file, printed(sealed(json)));
}

Summary read_summary(const std::filesystem::path& file) {
  const std::string content = read_text_file(file, 1 << 20);
  try {
    const Json json = parse_json<Json>(content, file.string(), /*throws=*/true);
    const bool has_seal = check_seal(json, file);
    const SummaryReader of(json, file);
    const Metrics metrics = of.metrics();
    const Json& seed = json.at("seed");
    check(seed.is_number_unsigned(), Fault::input, file.string(), ": seed is ", seed.dump().substr(0, 40),
          ", expected an integer of at least 0");
    return {.status = of.word("status"),
            .command = of.word("command"),
            .model = of.word("model"),
            .teacher = of.word("teacher"),
            .method = of.word("method"),
            .data = of.word("data"),
            .device = of.word("device"),
            .seed = seed.get<uint64_t>(),
            // Older versions knew no other.
            .views = json.contains("views") ? of.integer("views", 1, most_views) : Summary{}.views,
            .epochs = of.integer("epochs", 0, most_epochs),
            .epochs_done = of.integer("epochs_done", 0, most_epochs),
            .seconds = of.real("seconds", 0, 1e12),
            .best_by = of.word("best_by"),
            .best = of.result("best", metrics),
            .last = of.result("last", metrics),
            .weights_hash = of.word("weights_hash"),
            .teacher_hash = json.value("teacher_hash", ""),
            .bad_pictures = json.contains("bad_pictures")
                                ? of.integer("bad_pictures", 1, std::numeric_limits<int>::max())
                                : 0,
            .sealed = has_seal,
            .metrics = metrics};
  } catch (const nlohmann::json::exception& error) {
    fail(Fault::input, file.string(), ": is no run's summary: ", error.what());
  }
}

}  // namespace retort
