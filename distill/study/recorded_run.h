// What lies in a run's folder, each file held against the others before it is believed: the settings by their
// seal and by the checkpoint, results and epochs by the checkpoint's counters.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/checkpoint_record.h"
#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/run/run_settings.h"
#include "distill/settings/settings.h"

namespace retort {

struct RecordedRun {
  RunSettings settings;
  bool bound = true;               // false: made by 0.1.0, whose files do not vouch for each other
  bool began = false;              // there is a checkpoint
  bool from_previous = false;  // the last one is lost or damaged: what follows is what the one before says
  std::optional<Summary> summary;  // nothing before the first step
  MetricsTable metrics;            // the epochs so far
  std::string data_hash;           // of the images it is trained on; empty where nobody wrote it down
  std::string teacher_hash;        // weights_hash() of its teacher; the same
  std::optional<std::string> convolutions;          // see Binding
  bool summary_made = false, metrics_made = false;  // taken from the checkpoint, the file is not as it was
  std::vector<std::string> notes;                   // for the user: what was damaged and made again
};

// Fault::input, naming file and reason, where something cannot be believed and cannot be made again: settings
// that are not those of the checkpoint, results that it contradicts.
RecordedRun read_recorded_run(const std::filesystem::path& folder);

// The hash of the images it is trained on: where no checkpoint knows it, what env.json beside it says; else
// empty.
std::string data_hash_of(const RecordedRun& run, const std::filesystem::path& folder);

// That the weights `teacher`, of hash `own`, are not those that `student` learned from, of hash `known`.
std::string not_the_teacher(const std::string& teacher, const std::string& own, const std::string& student,
                            const std::string& known);

// What seeds.toml says: the settings of runs that differ in the seed alone, and how many they are.
struct RecordedSeeds {
  RunSettings settings;
  int64_t seeds = 0;
  bool bound = true;
};

// Fault::input for what start_seeds() cannot have written.
RecordedSeeds read_recorded_seeds(const std::filesystem::path& folder);
std::filesystem::path seeds_file(const std::filesystem::path& folder);

}  // namespace retort
