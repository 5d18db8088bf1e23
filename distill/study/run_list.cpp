#include "distill/study/run_list.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "distill/run/run_record.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// As recorded_run.h believes it: settings that are not those that the run was sealed with are no settings of
// it.
ListedRun read_run(const fs::path& folder) {
  ListedRun run{.folder = folder, .settings = {}, .summary = {}, .metrics = {}, .notes = {}};
  run.summary.status = "running";
  try {
    RecordedRun found = read_recorded_run(folder);
    run.settings = std::move(found.settings);
    if (found.summary) run.summary = *std::move(found.summary);
    run.metrics = std::move(found.metrics);
    run.notes = std::move(found.notes);
  } catch (const Error& error) {
    run.problem = error.what();
  }
  return run;
}

void search(const fs::path& folder, std::vector<ListedRun>& runs) {
  if (RunFolder::is_run(folder)) {
    runs.push_back(read_run(folder));
    return;
  }
  std::vector<fs::path> below;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) below.push_back(entry.path());
  std::sort(below.begin(), below.end());
  for (const fs::path& one : below) search(one, runs);
}

using KeysAndTexts = std::vector<std::pair<std::string, std::string>>;

KeysAndTexts all_keys(const RunSettings& settings) {
  KeysAndTexts all;
  for (const auto& [name, key, value] : key_values(settings)) all.push_back({name, value});
  return all;
}

// What env.json says, an object's entries as "libraries.onednn".
void flatten(const std::string& prefix, const Json& json, KeysAndTexts& all) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_object())
      flatten(prefix + name + ".", value, all);
    else if (!value.is_array())
      all.push_back({prefix + name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
}

// Nothing where the file is not there or, as a note then says, is not what a run wrote.
KeysAndTexts environment_of(const fs::path& folder, std::vector<std::string>& notes) {
  KeysAndTexts all;
  const fs::path file = folder / "env.json";
  if (!is_present(file)) return all;
  try {
    flatten("", read_environment(file), all);
  } catch (const Error& error) {
    notes.push_back(text(error.what(), "; what it says is not compared"));
    return {};
  }
  // When it ran, how it was started, and what guards the file itself say nothing of how it was made; the seed
  // and the data's name are settings.
  std::erase_if(all, [](const auto& entry) {
    return entry.first == "started" || entry.first == "seed" || entry.first == "data" ||
           entry.first == "xxh3";
  });
  return all;
}

// The entries that differ, or all, in a's order and then what only b has.
std::vector<RunDifference::Line> differing(const KeysAndTexts& a, const KeysAndTexts& b,
                                           bool equal_too = false) {
  const auto find = [](const KeysAndTexts& in, const std::string& name) -> const std::string* {
    for (const auto& [known, value] : in)
      if (known == name) return &value;
    return nullptr;
  };
  const auto shown = [](const std::string* value) {
    return !value ? std::string("-") : value->empty() ? "unset" : *value;
  };
  std::vector<RunDifference::Line> lines;
  for (const auto& [name, value] : a) {
    const std::string* other = find(b, name);
    if (equal_too || !other || *other != value) lines.push_back({name, shown(&value), shown(other)});
  }
  for (const auto& [name, value] : b)
    if (!find(a, name)) lines.push_back({name, "-", shown(&value)});
  return lines;
}

// What a row holds, but its seconds.
KeysAndTexts columns_of(const EpochMetrics& row, const std::vector<std::string>& terms) {
  KeysAndTexts all = {{"lr", exact_decimal(row.lr)}};
  for (const auto& [column, value] : measured_in(row)) all.push_back({column, exact_decimal(value)});
  for (size_t i = 0; i < terms.size() && i < row.terms.size(); ++i)
    all.push_back({terms[i], exact_decimal(row.terms[i])});
  return all;
}

void compare_metrics(const MetricsTable& left, const MetricsTable& right, RunDifference& difference) {
  const size_t common = std::min(left.rows.size(), right.rows.size());
  difference.common_epochs = int(common);
  for (size_t i = 0; i < common; ++i) {
    const auto lines =
        differing(columns_of(left.rows[i], left.terms), columns_of(right.rows[i], right.terms));
    if (lines.empty()) continue;
    difference.first_epoch = left.rows[i].epoch;
    difference.first_column = lines.front().name;
    return;
  }
}

KeysAndTexts results_of(const Summary& summary) {
  const auto result = [](const std::optional<EpochResult>& one) {
    if (!one) return std::string("-");
    const Metric& first = one->values[0].metric;
    const std::string word = one->measured() ? " " + first.word : "";
    return text(first.shown(one->first()), word, ", epoch ", one->epoch);
  };
  KeysAndTexts all = {{"status", summary.status},
                      {"epochs", text(summary.epochs_done, " of ", summary.epochs)},
                      {"best", result(summary.best)},
                      {"last", result(summary.last)}};
  for (size_t i = 1; i < summary.metrics.size(); ++i) {
    const Metric& metric = summary.metrics[i];
    all.push_back({"last " + metric.name,
                   summary.last ? metric.shown(summary.last->value(metric.name)) : std::string("-")});
  }
  return all;
}

ListedRun readable_run(const fs::path& folder) {
  check(RunFolder::is_run(folder), Fault::input, folder.string(),
        ": is no run's folder, expected one with config.toml");
  ListedRun run = read_run(folder);
  check(run.problem.empty(), Fault::input, run.problem);
  return run;
}

}  // namespace

std::vector<ListedRun> list_runs(const fs::path& folder) {
  std::error_code ignored;
  check(fs::is_directory(folder, ignored), Fault::input, folder.string(),
        ": there is no such folder, expected one with runs");
  std::vector<ListedRun> runs;
  search(folder, runs);
  return runs;
}

RunDifference difference_of(const fs::path& a, const fs::path& b) {
  const ListedRun left = readable_run(a), right = readable_run(b);
  RunDifference difference;
  for (const ListedRun* run : {&left, &right})
    difference.notes.insert(difference.notes.end(), run->notes.begin(), run->notes.end());
  difference.settings = differing(all_keys(left.settings), all_keys(right.settings));
  const KeysAndTexts made = environment_of(a, difference.notes), also = environment_of(b, difference.notes);
  difference.environment = differing(made, also);
  // A classifier and a detector have other metrics behind the first four.
  difference.results = differing(results_of(left.summary), results_of(right.summary), /*equal_too=*/true);
  compare_metrics(left.metrics, right.metrics, difference);
  if (!left.summary.weights_hash.empty() && !right.summary.weights_hash.empty())
    difference.weights = left.summary.weights_hash == right.summary.weights_hash
                             ? RunDifference::Weights::same
                             : RunDifference::Weights::different;
  return difference;
}

}  // namespace retort
