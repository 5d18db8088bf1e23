#include "distill/run/checkpoint_record.h"

#include <algorithm>
#include <set>
#include <span>
#include <sstream>

#include "distill/run/run_folder.h"
#include "distill/run/run_settings.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "engine/base/hash.h"
#include "layers/formats/safetensors.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr const char* counters_key = "counters";
constexpr const char* format_key = "run_format";
constexpr const char* convolutions_key = "convolutions";

// Files of 0.1.0 have none of it.
Binding binding_from(const std::map<std::string, std::string>& metadata, const std::string& file) {
  Binding binding;
  const auto format = metadata.find(format_key);
  if (format == metadata.end()) return binding;
  check(format->second == std::to_string(run_format), Fault::input, file, ": is of run format ",
        format->second, ", expected ", run_format, "; a newer retort may read it");
  const auto entry = [&](const char* key) {
    const auto found = metadata.find(key);
    check(found != metadata.end(), Fault::input, file, ": its metadata lack '", key, "'");
    return found->second;
  };
  binding.settings = entry("settings_hash");
  binding.data = entry("data_hash");
  binding.teacher = entry("teacher_hash");
  binding.weights = entry("weights_hash");
  binding.metrics = parse_metrics(entry("metrics"), file + ": metrics");
  if (const auto found = metadata.find(convolutions_key); found != metadata.end())
    binding.convolutions = found->second;
  if (const auto found = metadata.find(test_hash_key); found != metadata.end()) binding.test = found->second;
  binding.sealed = true;
  return binding;
}

// The run's last checkpoint that can be read, but for the one at `file`.
struct Neighbour {
  fs::path file;
  CheckpointRecord record;
};
std::optional<Neighbour> neighbour_of(const fs::path& folder, const fs::path& file) {
  for (const fs::path& other : {RunFolder::last_of(folder), RunFolder::previous_of(folder)}) {
    std::error_code ignored;
    if (other == file || !fs::exists(other, ignored)) continue;
    try {
      return Neighbour{other, read_checkpoint_record(other)};
    } catch (const Error& error) {
      if (error.fault() != Fault::input) throw;
    }
  }
  return std::nullopt;
}

int epochs_of(const CheckpointRecord& record) {
  return record.counters.last ? record.counters.last->epoch : 0;
}

}  // namespace

std::string settings_hash(RunSettings settings) {
  RunSettings usual;
  usual.method = MethodSettings(settings.method.method());
  settings.epochs = usual.epochs;
  std::set<std::string> usual_lines;
  std::istringstream all(deciding(settings)), of_usual(deciding(usual));
  std::string line, lines = settings.method.method().name + "\n";
  while (std::getline(of_usual, line)) usual_lines.insert(line);
  while (std::getline(all, line))
    if (!usual_lines.contains(line)) lines += line + "\n";
  return hash_of(std::as_bytes(std::span(lines)));
}

void put_record(const Counters& counters, const Binding& binding,
                std::map<std::string, std::string>& metadata) {
  metadata[counters_key] = counters_text(counters);
  metadata[format_key] = std::to_string(run_format);
  metadata["settings_hash"] = binding.settings;
  metadata["data_hash"] = binding.data;
  metadata["teacher_hash"] = binding.teacher;
  metadata["metrics"] = metrics_text(binding.metrics);
  if (binding.convolutions) metadata[convolutions_key] = *binding.convolutions;
  if (!binding.test.empty()) metadata[test_hash_key] = binding.test;
}

CheckpointRecord record_of(const std::map<std::string, std::string>& metadata, const std::string& file) {
  const auto counters = metadata.find(counters_key);
  check(counters != metadata.end(), Fault::input, file,
        ": no counters; this is a weights file, not a checkpoint");
  const Binding binding = binding_from(metadata, file);
  CheckpointRecord record{counters_from(counters->second, file, binding.metrics.metrics), binding};
  const auto& rows = record.binding.metrics.rows;
  check(!record.binding.sealed || rows.empty() || rows.back().epoch == epochs_of(record), Fault::input, file,
        ": its metrics end with another epoch than its counters");
  return record;
}

CheckpointRecord read_checkpoint_record(const fs::path& file) {
  return record_of(read_safetensors_metadata(file), file.string());
}

bool is_best(const Counters& counters) {
  return counters.batch == 0 && counters.best && counters.last &&
         counters.best->epoch == counters.last->epoch;
}

void check_of_run(const fs::path& folder, const fs::path& file, const CheckpointRecord& one) {
  const RunSettings settings = read_run_settings(folder);
  const auto hold = [&](const char* what, const std::string& found, const std::string& expected,
                        const fs::path& where) {
    check(found == expected, Fault::input, file.string(), ": is not of this run: it was trained with ", what,
          " of hash ", found, ", ", where.filename().string(), " has ", expected);
  };
  if (one.binding.sealed) hold("settings", one.binding.settings, settings_hash(settings), "config.toml");
  if (file == RunFolder::last_of(folder)) return;
  const std::optional<Neighbour> neighbour = neighbour_of(folder, file);
  if (!neighbour) return;
  const auto& [beside, other] = *neighbour;
  const int own = epochs_of(one), its = epochs_of(other);
  if (one.binding.sealed && other.binding.sealed) {
    hold("images", one.binding.data, other.binding.data, beside);
    hold("a teacher", one.binding.teacher, other.binding.teacher, beside);
    const std::vector<int> differ =
        epochs_that_differ(one.binding.metrics, other.binding.metrics, std::min(own, its));
    check(differ.empty(), Fault::input, file.string(), ": is not of this run: its epoch ",
          differ.empty() ? 0 : differ[0], " is not that of ", beside.filename().string());
  }
  // One that is further will be written again, when the run gets there.
  if (file != RunFolder::best_of(folder) || own > its) return;
  const std::optional<EpochResult>& best = other.counters.best;
  const bool right = is_best(one.counters) && is_same(one.counters.best, best);
  check(right, Fault::input, file.string(), ": is of epoch ", own, ", the run's best is ",
        best ? text("epoch ", best->epoch) : "none",
        is_best(other.counters)
            ? text("; `retort ", settings.command, " --resume ", folder.string(), "` writes it")
            : std::string());
}

void check_of_run(const fs::path& folder, const fs::path& file) {
  check_of_run(folder, file, read_checkpoint_record(file));
}

}  // namespace retort
