#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/study/run_list.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;
using Lines = std::vector<RunDifference::Line>;

Json json_of(const Lines& lines) {
  Json all = Json::object();
  for (const RunDifference::Line& line : lines) all[line.name] = {line.a, line.b};
  return all;
}

const char* word_of(RunDifference::Weights weights) {
  switch (weights) {
    case RunDifference::Weights::same:
      return "same";
    case RunDifference::Weights::different:
      return "different";
    case RunDifference::Weights::unknown:
      break;
  }
  return "unknown";
}

std::string section(const std::string& title, const Lines& lines, size_t name_width, size_t value_width) {
  if (lines.empty()) return title + ": the same\n";
  std::string all = title + "\n";
  const auto padded = [](std::string cell, size_t width) {
    cell.resize(cell.size() + width - std::min(width, display_width(cell)), ' ');
    return cell;
  };
  for (const RunDifference::Line& line : lines)
    all += "  " + padded(line.name, name_width) + "  " + padded(line.a, value_width) + "  " + line.b + "\n";
  return all;
}

std::string epochs_text(const RunDifference& difference) {
  if (difference.common_epochs == 0) return "epochs: none that both have\n";
  if (!difference.first_epoch)
    return "epochs: the same numbers in all " + std::to_string(difference.common_epochs) +
           " that both have\n";
  return text("epochs: they differ from epoch ", *difference.first_epoch, " on, in ", difference.first_column,
              "\n");
}

std::string text_of(const RunDifference& difference, const std::string& a, const std::string& b) {
  size_t name_width = 0, value_width = display_width(a);
  for (const Lines* lines : {&difference.settings, &difference.environment, &difference.results}) {
    for (const RunDifference::Line& line : *lines) {
      name_width = std::max(name_width, display_width(line.name));
      value_width = std::max(value_width, display_width(line.a));
    }
  }
  value_width = std::min<size_t>(value_width, 40);
  return section("runs", {{"", a, b}}, name_width, value_width) +
         section("settings", difference.settings, name_width, value_width) +
         section("program, machine, images", difference.environment, name_width, value_width) +
         section("results", difference.results, name_width, value_width) + epochs_text(difference) +
         "weights: " + word_of(difference.weights) + "\n";
}

}  // namespace

int run_diff(const Arguments& arguments) {
  Options options("diff", "how two runs differ: settings, program and machine, results, first other epoch",
                  {"retort diff runs/a runs/b", "retort diff runs/kd runs/pcd --json"});
  std::vector<std::string> runs;
  bool json = false;
  options.positional("RUN RUN", "two runs' folders", runs);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(runs.size() == 2, Fault::usage, "diff: ", runs.size(), " runs are named, expected two: RUN RUN");
  const RunDifference difference = difference_of(runs[0], runs[1]);
  for (const std::string& note : difference.notes) print_error("note: " + note);
  if (json) {
    Json all = {{"runs", runs},
                {"settings", json_of(difference.settings)},
                {"environment", json_of(difference.environment)},
                {"results", json_of(difference.results)},
                {"common_epochs", difference.common_epochs},
                {"first_epoch", difference.first_epoch ? Json(*difference.first_epoch) : Json(nullptr)},
                {"first_column", difference.first_epoch ? Json(difference.first_column) : Json(nullptr)},
                {"weights", word_of(difference.weights)}};
    if (!difference.notes.empty()) all["notes"] = difference.notes;
    print_json(all);
  } else {
    print(text_of(difference, runs[0], runs[1]));
  }
  return 0;
}

}  // namespace retort
