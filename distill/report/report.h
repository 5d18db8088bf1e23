// `retort report`: a study's results as one self-contained page, and as Markdown, CSV and JSON beside it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/report/detector_evaluations.h"
#include "distill/report/evaluations.h"
#include "distill/run/progress.h"
#include "distill/study/results.h"

namespace retort {

struct Report {
  Results data;
  Evaluations evaluations;
  DetectorEvaluations detectors = {};
  bool evaluated = false;  // otherwise what needs checkpoints is left out, and said to be
};

// A class's gain over plain KD in percentage points, mean over the seeds of which both were evaluated; empty
// where there is none, or they cannot be compared. row: of report.data.pairs[pair].
struct ClassGains {
  std::vector<double> by_class;
  size_t seeds = 0;
};
ClassGains class_gains(const Report& report, size_t pair, size_t row);

// What is missing, went wrong or stands apart, a sentence each.
std::vector<std::string> missing_sentences(const Report& report);

std::string report_html(const Report& report);
std::string report_markdown(const Report& report);
std::string report_csv(const Report& report);   // a line per run
// A line per network and class: its top1 or AP and the teacher's confidence, in percent. Empty where no
// checkpoint was evaluated.
std::string report_classes_csv(const Report& report);
std::string report_json(const Report& report);  // what collect_results() reads again

struct ReportOptions {
  std::filesystem::path out;  // folder of the files; empty: the first of the runs'
  std::string data;           // where the test images lie, if not where the runs say
  KeysAndTexts data_keys = {};  // "data.decoder", "turbo": how they are read, over what the runs say
  std::string mean, deviation;  // how networks see images of which neither file nor run says it
  bool evaluate = true;       // checkpoints on the test images
  bool pictures = false;      // of test images also where the data is not synthetic
  int threads = 0;
};

// What the folders say together, evaluated.
Report make_report(const std::vector<std::filesystem::path>& folders, const ReportOptions& options,
                   Progress& progress);

// Writes report.html, .md, .csv and .json, classes.csv if there is something in it, and headline.png and
// .svg, what came out as a picture to pass on, if a run has finished; report-cache.json beside them holds
// what was computed from checkpoints. A published report is left as it is unless `out` names another folder.
// Returns the report, and where its page is. Faults are those of collect_results() and of writing.
struct WrittenReport {
  Report report;
  std::filesystem::path page;
};
WrittenReport write_report(const std::vector<std::filesystem::path>& folders, const ReportOptions& options,
                           Progress& progress);

}  // namespace retort
