// `retort report`: a study's results as one self-contained page, and as Markdown, CSV and JSON beside it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/report/data.h"
#include "distill/report/evaluations.h"
#include "distill/run/progress.h"

namespace retort {

struct Report {
  ReportData data;
  Evaluations evaluations;
  bool evaluated = false;  // otherwise what needs checkpoints is left out, and said to be
};

// A class's gain over plain KD in percentage points, mean over the seeds that both have; empty where one of
// them was not evaluated. row: of report.data.pairs[pair].
std::vector<double> class_gains(const Report& report, size_t pair, size_t row);

std::string report_html(const Report& report);
std::string report_markdown(const Report& report);
std::string report_csv(const Report& report);  // a line per run
std::string report_json(const Report& report);

struct ReportOptions {
  std::filesystem::path out;  // folder of the files; empty: the runs' own
  std::string data;           // where the test images lie, if not where the runs say
  std::string mean, deviation;  // how networks see images of which neither file nor run says it
  bool evaluate = true;       // checkpoints on the test images
  bool pictures = false;      // of test images also where the data is not synthetic
  int threads = 0;
};

// Writes report.html, .md, .csv and .json, and report-cache.json, what was computed from checkpoints. Returns
// the report. Faults are those of collect_report() and of writing.
Report write_report(const std::filesystem::path& folder, const ReportOptions& options, Progress& progress);

}  // namespace retort
