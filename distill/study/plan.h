// What a study consists of: its runs, each with its settings and folder, and which has to be finished before
// which. How they are worked off, how long that takes and where else they may run is said of this.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/run_record.h"
#include "distill/settings/settings.h"
#include "distill/study/study.h"

namespace retort {

inline constexpr size_t no_run = size_t(-1);

struct PlannedRun {
  std::string name, kind;  // for people: "resnet8, kd, seed 1"; and for estimates of time left
  RunSettings settings;
  std::filesystem::path folder;
  size_t teacher = no_run;  // the run that has to be finished before
  bool chosen = false;      // by a pair and a method that are, or as such a run's teacher
};

// Where a pair's results come from.
struct PlannedPair {
  size_t teacher = no_run;                // its run; no_run: it was given, or nobody reads one
  std::vector<std::vector<size_t>> rows;  // runs by method and seed
};

struct StudyPlan {
  std::vector<PlannedRun> runs;  // seed by seed, a teacher before the first run that needs it
  std::vector<PlannedPair> pairs;

  bool is_teacher(size_t run) const;
  // The runs as tasks are numbered: teachers first, so that they are the array that students wait for.
  std::vector<size_t> tasks() const;
};

// folder: the study's, in one spelling: it becomes part of the runs' settings. Fault::usage where a method
// needs a teacher and none is named, or one network would be trained in two ways.
StudyPlan plan_of(const Study& study, const std::filesystem::path& folder);

// A study's runs share the teacher's logits, where nobody says otherwise and the method can read them stored.
void share_logits(RunSettings& settings);

// The result of the run in the folder, where there is nothing left to do for it: finished, or diverged.
std::optional<Summary> settled_result(const std::filesystem::path& folder);

}  // namespace retort
