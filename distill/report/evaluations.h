// What a report computes from checkpoints: accuracy per class, the teacher's confidence in each class, and
// logits of chosen test images. Kept in a file beside the report, since it takes a while.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "distill/report/data.h"
#include "distill/run/progress.h"

namespace retort {

struct ClassAccuracy {
  std::vector<int64_t> images, correct;  // by class

  double percent(size_t label) const { return 100.0 * double(correct[label]) / double(images[label]); }
};

// A test image with the logits of teacher and student on it.
struct ChosenImage {
  std::string reason;  // why this one
  int64_t index = 0;   // among the test images
  int label = 0;
  std::vector<double> teacher, student;
  std::vector<uint8_t> pixels;  // H,W,3; empty unless pictures were asked for
  int side = 0;
};

struct PairEvaluation {
  // By row and run as in ReportPair; empty for runs that are not finished or could not be read.
  std::vector<std::vector<ClassAccuracy>> students;
  std::vector<double> confidence;  // the teacher's mean probability of the class over its test images
  size_t chosen_row = 0;           // whose student the chosen images show
  uint64_t chosen_seed = 0;
  std::vector<ChosenImage> chosen;
};

struct Evaluations {
  std::vector<std::string> class_names;
  std::vector<PairEvaluation> pairs;  // as in ReportData
  std::vector<std::string> notes;     // what could not be computed, and why
};

struct EvaluationOptions {
  std::filesystem::path cache;  // the file; read if it is there, written if something was computed
  std::string data;             // instead of the runs' own, where the images lie elsewhere now
  std::string mean, deviation;  // how networks see images of which neither file nor run says it
  bool pictures = false;        // pixels of the chosen images
  int threads = 0;
};

// The last weights of every finished run on the test images, the teacher too. What fails becomes a note.
Evaluations evaluate_report(const ReportData& data, const EvaluationOptions& options, Progress& progress);

}  // namespace retort
