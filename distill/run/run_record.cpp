#include "distill/run/run_record.h"

#include <sys/utsname.h>

#include <limits>
#include <nlohmann/json.hpp>

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

Json json_of(const std::optional<EpochResult>& result) {
  if (!result) return nullptr;
  return {{"epoch", result->epoch}, {"top1", result->top1}, {"top5", result->top5}, {"loss", result->loss}};
}

double number_of(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

// What a run wrote there.
Json read_environment(const std::filesystem::path& file) {
  const Json json = Json::parse(read_text_file(file, 64 << 20), nullptr, /*allow_exceptions=*/false);
  check(json.is_object() && (!json.contains("resumed") || json["resumed"].is_array()), Fault::input,
        file.string(), ": is not what a run wrote there, expected a JSON object; move it away to resume");
  check_seal(json, file);
  return json;
}

std::optional<EpochResult> result_of(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return EpochResult{json.at("epoch").get<int>(), number_of(json.at("top1")), number_of(json.at("top5")),
                     number_of(json.at("loss"))};
}

Json metrics_of(const Summary& summary) {
  Json all = Json::object();
  for (const Metric& metric : classification_metrics()) {
    const auto value = [&](const std::optional<EpochResult>& result) {
      return result ? Json(result->value_of(metric)) : Json(nullptr);
    };
    all[metric.name] = {{"unit", metric.unit},
                        {"better", metric.higher_is_better ? "higher" : "lower"},
                        {"best", value(summary.best)},
                        {"last", value(summary.last)}};
  }
  return all;
}

}  // namespace

const std::vector<Metric>& classification_metrics() {
  static const std::vector<Metric> all = {{"top1", "%", true}, {"top5", "%", true}, {"loss", "", false}};
  return all;
}

double EpochResult::value_of(const Metric& metric) const {
  return metric.name == "top1" ? top1 : metric.name == "top5" ? top5 : loss;
}

std::string metrics_json(const Summary& summary) {
  return metrics_of(summary).dump();
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
  const Json json = {{"schema", 1},
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
                     {"best", json_of(summary.best)},
                     {"last", json_of(summary.last)},
                     {"metrics", metrics_of(summary)},
                     {"weights_hash", summary.weights_hash},
                     {"teacher_hash", summary.teacher_hash}};
  write_file(file, printed(sealed(json)));
}

Summary read_summary(const std::filesystem::path& file) {
  const std::string content = read_text_file(file, 1 << 20);
  try {
    const Json json = Json::parse(content);
    const bool has_seal = check_seal(json, file);
    const auto word = [&](const char* key) { return json.at(key).get<std::string>(); };
    return {.status = word("status"),
            .command = word("command"),
            .model = word("model"),
            .teacher = word("teacher"),
            .method = word("method"),
            .data = word("data"),
            .device = word("device"),
            .seed = json.at("seed").get<uint64_t>(),
            .views = json.value("views", Summary{}.views),  // older versions knew no other
            .epochs = json.at("epochs").get<int>(),
            .epochs_done = json.at("epochs_done").get<int>(),
            .seconds = number_of(json.at("seconds")),
            .best_by = word("best_by"),
            .best = result_of(json.at("best")),
            .last = result_of(json.at("last")),
            .weights_hash = word("weights_hash"),
            .teacher_hash = json.value("teacher_hash", ""),
            .sealed = has_seal};
  } catch (const nlohmann::json::exception& error) {
    fail(Fault::input, file.string(), ": is no run's summary: ", error.what());
  }
}

}  // namespace retort
