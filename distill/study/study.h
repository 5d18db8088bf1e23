// A study: pairs of teacher and student, several methods and seeds. Here: what its file says. Running it is
// study_run.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "distill/settings/settings.h"

namespace retort {

struct StudyMethod {
  std::string label;     // names the row and the folder
  RunSettings settings;  // of its first seed, without teacher
  bool chosen = true;    // see choice.h
};

struct StudyPair {
  std::string name;             // "resnet56-resnet20", or "resnet56-resnet20, VARIANT"
  std::filesystem::path place;  // of its runs in the study's folder; empty in a study of one pair
  RunSettings teacher;          // how it is trained, unless teacher_weights names one that is there
  std::string teacher_weights;
  std::vector<StudyMethod> methods;
  std::string variant = {};  // its label, which ends the name
  bool chosen = true;

  const std::string& student() const { return methods.front().settings.model; }
  std::string without_variant() const {
    return variant.empty() ? name : name.substr(0, name.size() - variant.size() - 2);
  }
};

struct Study {
  std::string title;
  bool nested = false;  // has [[pairs]]: more than one teacher or student may come
  std::vector<StudyPair> pairs;
  int seeds = 1;
};

// What the command line says instead of the file, for every run of the study.
struct StudyOverrides {
  std::optional<int> seeds;
  // Keys as --set takes them, "epochs", "data.spec", "method.temperature"; a method's key goes to the methods
  // that have it.
  std::vector<std::pair<std::string, std::string>> sets;
};

// As a number of seeds: 1 to 1000. Fault::usage naming `what`.
int seeds_of(const std::string& what, int64_t seeds);

// A study's file: title, seeds, and tables of settings. distill/recipes/studies/example.toml has all of it, with comments
// (`retort compare --example`).
//   [settings]              of all runs
//   [teacher], [student]    on top of it, for teachers and students
//   [[methods]]             name, label (the name, if not given), and the method's keys; recipe, where it
//                           is called otherwise than the method ("kd-ls")
//   [[pairs]]               teacher, student (networks), and if needed name, weights, and settings of
//                           its students. Instead of it, for one pair, model in [teacher] and in [student].
//   [[variants]]            label and settings of students: the whole grid once for each
//   recipes = "FOLDER"      relative to the file: a run begins with FOLDER/TEACHER-STUDENT/METHOD.toml, a
//                           teacher with FOLDER/teachers/TEACHER.toml, below all of the above
// Settings of a pair or a variant are keys of its table, or stand together in settings = {...}, which comes last.
// `weights = "RUN or FILE"` takes a teacher that is there. Fault::input if a file cannot be read,
// Fault::usage with file and line for what is wrong in it.
Study read_study(const std::filesystem::path& file, const StudyOverrides& overrides = {});

// The file that the user means: a path; the name of a study ("quick") that lies as quick.toml in the working
// folder; or of one that the program carries (distill/settings/recipe_files.h). Fault::input naming the
// nearest if there is none.
std::filesystem::path find_study(const std::string& name);

}  // namespace retort
