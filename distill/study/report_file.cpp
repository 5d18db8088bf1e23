#include "distill/study/report_file.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "distill/run/json_bounds.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

using Json = nlohmann::json;

constexpr int most_epochs = 1'000'000;

double number_of(const Json& json, const Metric& metric) {
  const double value = json.get<double>();
  check(std::isfinite(value) && value >= metric.low && value <= metric.high, Fault::input, "a ", metric.word,
        " is ", value, ", expected ", metric.low, " to ", metric.high);
  return value;
}

// What a pair is judged by; older reports are of classifiers.
Metric metric_of(const Json& pair) {
  if (!pair.contains("metric")) return classification_metrics()[0];
  const Json& said = pair.at("metric");
  return metric_of_file(said.at("name").get<std::string>(), said.at("unit").get<std::string>(),
                        said.at("better") == "higher");
}

int epoch_of(const Json& json) {
  const auto value = json.get<int64_t>();
  check(json.is_number_integer() && value >= 0 && value <= most_epochs, Fault::input, "an epoch is ", value,
        ", expected 0 to ", most_epochs);
  return int(value);
}

std::optional<EpochResult> result_of(const Json& json, const Metric& first) {
  if (json.is_null()) return std::nullopt;
  const auto number = [](const Json& value, const Metric& metric) {
    return value.is_null() ? std::nan("") : number_of(value, metric);
  };
  EpochResult result{.epoch = epoch_of(json.at("epoch")),
                     .values = {{first, number(json.at(first.name), first)}}};
  for (const auto& [name, value] : json.items()) {
    if (name == "epoch" || name == first.name) continue;
    const Metric other = metric_of_file(name);
    result.values.push_back({other, number(value, other)});
  }
  return result;
}

ResultRun run_of(const Json& json, const std::string& method, const std::string& student,
                 const Metric& metric) {
  ResultRun run;
  check(json.at("seed").is_number_unsigned(), Fault::input, "a seed is ", json.at("seed").dump(),
        ", expected 0 or more");
  run.seed = json.at("seed").get<uint64_t>();
  run.status = json.at("status").get<std::string>();
  run.problem = json.value("problem", "");
  Summary& s = run.summary;
  s.status = run.status;
  s.method = method;
  s.model = student;
  s.seed = run.seed;
  s.metrics = {metric};
  s.best = result_of(json.at("best"), metric);
  s.last = result_of(json.at("last"), metric);
  s.epochs_done = s.last ? s.last->epoch : 0;
  if (json.contains("seconds") && json.at("seconds").is_number())
    s.seconds = json.at("seconds").get<double>();
  s.weights_hash = json.value("weights_hash", "");
  // Without its results it is no finished run, whatever it says; what was not measured has no best epoch.
  const bool whole = s.last && (s.best || !s.last->measured());
  if (run.status == "finished" && !whole) run.status = s.status = "failed";
  if (json.contains("curve")) {
    int before = -1;
    for (const Json& point : json.at("curve")) {
      check(point.is_array() && point.size() == 2, Fault::input, "a curve's point is no pair of epoch and ",
            metric.word);
      EpochMetrics metrics;
      metrics.epoch = epoch_of(point[0]);
      check(metrics.epoch > before, Fault::input, "a curve's epochs do not ascend");
      before = metrics.epoch;
      metrics.tested = {{metric, point[1].is_null() ? std::nan("") : number_of(point[1], metric)}};
      run.metrics.rows.push_back(metrics);
    }
  }
  return run;
}

// By class; null, which is NaN here, of one that no test image shows.
std::vector<double> by_class(const Json& json) {
  std::vector<double> numbers;
  for (const Json& entry : json.get<std::vector<Json>>())
    numbers.push_back(entry.is_null() ? std::numeric_limits<double>::quiet_NaN() : entry.get<double>());
  return numbers;
}

PublishedClasses classes_of(const Json& json) {
  PublishedClasses classes;
  classes.names = json.at("names").get<std::vector<std::string>>();
  classes.confidence = by_class(json.at("teacher_confidence"));
  for (const double value : classes.confidence)
    check(std::isnan(value) || (value >= 0 && value <= 1), Fault::input, "a teacher's confidence is ", value,
          ", expected 0 to 1");
  for (const auto& entry : json.at("over_kd").items()) {
    const std::vector<double> gain = by_class(entry.value().at("gain"));
    check(gain.size() == classes.confidence.size(), Fault::input, entry.key(), " has the gains of ",
          gain.size(), " classes, the teacher's confidence is of ", classes.confidence.size());
    for (const double value : gain)
      check(std::isnan(value) || std::abs(value) <= 100, Fault::input, "a gain is ", value,
            ", expected -100 to 100");
    classes.gains[entry.key()] = gain;
  }
  return classes;
}

RunSettings settings_of(const Json& json) {
  RunSettings settings = default_settings("train");
  if (json.contains("method.name"))
    set_key(settings, "method.name", json.at("method.name").get<std::string>());
  for (const auto& entry : json.items()) {
    const auto value = entry.value().get<std::string>();
    if (entry.key() != "method.name" && !value.empty()) set_key(settings, entry.key(), value);
  }
  return settings;
}

void read_pair(const Json& json, const std::string& data, PublishedReport& report) {
  ResultPair pair{.name = json.at("name").get<std::string>(),
                  .teacher = json.at("teacher").at("model").get<std::string>(),
                  .student = json.at("student").get<std::string>(),
                  .data = json.value("data", data),
                  .data_hash = json.value("data_hash", "")};
  pair.teacher_hash = json.at("teacher").value("weights_hash", "");
  const Metric metric = metric_of(json);
  const auto best = result_of(json.at("teacher").at("best"), metric),
             last = result_of(json.at("teacher").at("last"), metric);
  if (best || last) {
    pair.teacher_summary = Summary{};
    pair.teacher_summary->status = "finished";
    pair.teacher_summary->model = pair.teacher;
    pair.teacher_summary->best = best;
    pair.teacher_summary->metrics = {metric};
    pair.teacher_summary->last = last;
    if (!pair.teacher_hash.empty()) report.teachers[pair.teacher_hash] = *pair.teacher_summary;
  }
  if (json.contains("classes") && json.at("classes").is_object())
    pair.classes = classes_of(json.at("classes"));
  if (json.contains("ablation")) {
    for (const Json& answer : json.at("ablation")) {
      pair.answers.push_back({.question = answer.at("question").get<std::string>(),
                              .with = answer.at("with").get<std::string>(),
                              .without = answer.at("without").get<std::string>(),
                              .answer = answer.at("answer").get<std::string>()});
    }
  }
  bool all_set = true;
  for (const Json& entry : json.at("rows")) {
    ResultRow row{.label = entry.at("label").get<std::string>(),
                  .method = entry.at("method").get<std::string>(),
                  .settings = {}};
    row.apart = entry.value("not_comparable", "");
    if (entry.contains("settings") && entry.at("settings").is_object())
      row.settings = settings_of(entry.at("settings"));
    all_set = all_set && row.settings;
    for (const Json& run : entry.at("runs"))
      row.runs.push_back(run_of(run, row.method, pair.student, metric));
    settle(row);
    pair.rows.push_back(std::move(row));
  }
  if (!all_set || pair.data_hash.empty()) {
    report.pairs.push_back(std::move(pair));
    return;
  }
  if (pair.classes) report.classes[pair.name] = *pair.classes;
  for (const ResultRow& row : pair.rows) {
    for (const ResultRun& run : row.runs) {
      if (run.status == "missing") continue;
      FoundRun found{.run = run,
                     .settings = *row.settings,
                     .data_hash = pair.data_hash,
                     .teacher_hash = pair.teacher_hash,
                     .teacher_weights = "",
                     .label = row.label,
                     .pair = pair.name};
      found.settings.data.spec = pair.data;
      if (found.settings.method.method().reads.teacher) found.settings.teacher_model = pair.teacher;
      report.runs.push_back(std::move(found));
    }
  }
}

}  // namespace

PublishedReport read_published_report(const std::filesystem::path& file) {
  PublishedReport report;
  try {
    const std::string content = read_text_file(file, 1 << 28);
    report.bound =
        check_seal(parse_json<nlohmann::ordered_json>(content, file.string(), /*throws=*/true), file);
    const Json json = Json::parse(content);
    report.title = json.at("title").get<std::string>();
    const auto data = json.value("data", "");
    for (const Json& pair : json.at("pairs")) read_pair(pair, data, report);
    if (json.contains("missing")) report.missing = json.at("missing").get<std::vector<std::string>>();
    // Without a place: a page that is passed on says it too.
    if (!report.bound)
      report.missing.push_back("unbound: results of a report.json without a hash, made by an older program");
  } catch (const Json::exception& error) {
    fail(Fault::input, file.string(), ": is no report that this program writes: ", error.what());
  } catch (const Error& error) {
    if (std::string(error.what()).starts_with(file.string())) throw;
    fail(Fault::input, file.string(), ": is no report that this program writes: ", error.what());
  }
  return report;
}

}  // namespace retort
