// The runs in a folder, one by one, and how two of them differ: for `retort ls` and `retort diff`.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/settings/settings.h"

namespace retort {

struct ListedRun {
  std::filesystem::path folder;
  RunSettings settings;
  Summary summary;           // .status is "running" where the run left none yet
  MetricsTable metrics;
  std::vector<std::string> notes;  // what was damaged and is taken from the checkpoint
  std::string problem = {};  // why it cannot be read; the rest is empty then
};

// The folder itself, or all runs in it and below, by path. Symbolic links to folders are not followed.
// Fault::input if there is no such folder.
std::vector<ListedRun> list_runs(const std::filesystem::path& folder);

struct RunDifference {
  struct Line {
    std::string name, a, b;
  };
  std::vector<Line> settings;     // keys whose values differ, in the order of config.toml
  std::vector<Line> environment;  // what env.json says of program, machine and images, where it differs
  std::vector<Line> results;      // status, epochs, best and last, equal or not
  // The first epoch whose row in metrics.csv differs in anything but its seconds, and the first column that
  // does.
  std::optional<int> first_epoch;
  std::string first_column = {};
  int common_epochs = 0;
  enum class Weights { unknown, same, different } weights = Weights::unknown;  // the last ones
  std::vector<std::string> notes = {};  // of both runs, see ListedRun; and an env.json that is damaged
};

// Fault::input if one of them is no run or cannot be read.
RunDifference difference_of(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace retort
