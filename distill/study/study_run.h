// Running a study: what is missing of it, as a queue; and its results as they are, of the whole or of a part.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "distill/study/plan.h"
#include "distill/study/results.h"
#include "distill/study/runs.h"
#include "distill/study/study.h"

namespace retort {

struct StudyResult {
  std::string title, data;
  std::vector<ResultPair> pairs = {};
  std::vector<std::optional<ResultRun>> teachers = {};  // by pair: the teacher's own run, unless it was given
  std::vector<std::string> not_chosen = {};  // see choice.h; what is there of it stands in the pairs
  bool stopped = false;                                 // by a signal; the results so far

  // What the program ends with: the fault of the first run that failed, else Fault::diverged if one diverged,
  // else 0.
  int exit_code = 0;
};

struct StudyOptions {
  bool force = false;   // starts everything anew
  bool resume = false;  // the folder must be there
  int parallel = 1;     // runs at once; they share the CPU threads out
};

// Runs what is missing of the study, or of what is chosen of it, in its folder: teachers in teacher/ (with
// [[pairs]]: teachers/NETWORK/, one for all its pairs), students in LABEL/seed-K/ (PAIR/LABEL/seed-K/; of a
// student that reads no teacher students/NETWORK/LABEL/seed-K/, one for all its pairs, where its settings are
// the same). Seed by seed, so that whatever there is is a fair comparison; a teacher before the first run
// that needs it.
//
// What is finished or diverged is not repeated, what was interrupted goes on, what failed is tried again. A
// run that fails or diverges does not stop the rest. After every run results.json, results.md and curves are
// written into the folder. Before the first, a note says how long all of them will take.
//
// Fault::usage before anything is made or deleted: a run that is there has other settings (named), the folder
// is no study's, or another process works in it.
StudyResult run_study(const Study& study, const std::filesystem::path& folder, const StudyOptions& options,
                      Session& session);

// The runs of run_study(), looked at with the same faults; nothing is made.
StudyPlan check_study(const Study& study, const std::filesystem::path& folder, const StudyOptions& options,
                      Session& session);

// Run number `task` of the study, from 0, teachers first, as run_study() would make it or go on with it, in
// its own locked folder; no tables. Tasks may run at the same time, on machines that see the same folder.
// Fault::usage if there is no such number, Fault::input if its teacher is not finished, and the run's own
// faults.
Summary run_study_task(const Study& study, const std::filesystem::path& folder, int64_t task,
                       Session& session);

// The results of what is there, and the tables; runs nothing.
StudyResult collect_study(const Study& study, const std::filesystem::path& folder, Session& session);

// The tables, for a terminal and for Markdown, and everything as JSON.
std::string study_text(const StudyResult& result);
std::string study_markdown(const StudyResult& result);
std::string study_json(const StudyResult& result, const std::filesystem::path& folder, bool seal = false);

// Of runs that differ in the seed alone: a line each, and what they say together.
std::string seeds_text(const ResultRow& row);

}  // namespace retort
