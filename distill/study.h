// A study: one teacher, one student, several methods and seeds; every run in a folder of its own, and one
// table.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "distill/runs.h"

namespace retort {

struct StudyMethod {
  std::string label;     // names the row and the folder
  RunSettings settings;  // without seed and teacher
};

struct Study {
  std::string title;
  RunSettings teacher;  // how it is trained, unless teacher.teacher names one that is there
  std::string teacher_weights;
  std::vector<StudyMethod> methods;
  int seeds = 1;
};

// A study's file: title, seeds, and tables of settings: [settings] for all runs, [teacher] and [student] on
// top of it, and a [[methods]] each with name, label (the name, if not given) and the method's keys. `weights
// = "RUN or FILE"` in [teacher] takes a teacher that is there. Fault::input if it cannot be read,
// Fault::usage with file and line for what is wrong in it.
Study read_study(const std::filesystem::path& file);

struct StudyRow {
  std::string label;
  std::vector<Summary> runs;       // one per seed; a diverged one has status "diverged"
  std::vector<double> best, last;  // top-1 of the runs that finished, percent
  double seconds = 0;              // mean of a run's
};

struct StudyResult {
  std::string title, data, student;
  Summary teacher;
  std::vector<StudyRow> rows;
  bool stopped = false;  // by a signal; the rows so far
};

// Runs what is missing of the study in folder/teacher and folder/LABEL/seed-K, one after the other; what is
// finished is not repeated, what was interrupted goes on. force starts everything anew. Writes results.json,
// results.md and curves.svg into the folder. A run that diverges does not stop the rest.
StudyResult run_study(const Study& study, const std::filesystem::path& folder, bool force, Session& session);

// The table, for a terminal and for Markdown.
std::string study_text(const StudyResult& result);
std::string study_markdown(const StudyResult& result);
std::string study_json(const StudyResult& result);

}  // namespace retort
