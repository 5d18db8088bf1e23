// What a report computes from checkpoints: accuracy per class, the teacher's confidence in each class, and
// logits of chosen test images. Kept in a file beside the report, since it takes a while.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "distill/report/evaluation_cache.h"
#include "distill/run/progress.h"
#include "distill/settings/settings.h"
#include "distill/study/results.h"

namespace retort {

struct PairEvaluation {
  std::vector<std::string> class_names;
  // By row and run as in ResultPair; empty for runs that do not count or could not be read.
  std::vector<std::vector<ClassAccuracy>> students;
  // How sure they are, and of what; alike, and of the teacher.
  std::vector<std::vector<Judgement>> judged;
  Judgement teacher_judged;
  std::vector<double> confidence;  // the teacher's mean probability of the class over its test images
  size_t chosen_row = 0;           // whose student the chosen images show
  uint64_t chosen_seed = 0;
  std::vector<ChosenImage> chosen;
};

struct Evaluations {
  std::vector<PairEvaluation> pairs;  // as in Results
  std::vector<std::string> notes;     // what could not be computed, and why
};

struct EvaluationOptions {
  std::filesystem::path cache;  // the file; read if it is there, written if something was computed
  std::string data;             // where the images of that set lie now, if not where the runs say
  KeysAndTexts data_keys = {};  // "data.decoder", "turbo": how they are read, over what the runs say
  std::string mean, deviation;  // how networks see images of which neither file nor run says it
  bool pictures = false;        // pixels of the chosen images
  int threads = 0;

  // In the keys of the cache: read otherwise, results are others.
  std::string read_as() const;
};

// As the pair's runs were made, but for where and how its test images are read under these options.
RunSettings settings_to_read(const ResultPair& pair, const EvaluationOptions& options);

// The last weights of every run that counts, on the test images of its own data set, and the teacher's.
// Weights whose accuracy there is not the one that their summary tells are not shown. What fails becomes a
// note.
Evaluations evaluate_report(const Results& data, const EvaluationOptions& options, Progress& progress);

}  // namespace retort
