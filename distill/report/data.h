// What a report is about: the runs of a study's folder, or of any folder of runs, grouped for comparison.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/settings/settings.h"

namespace retort {

struct ReportRun {
  uint64_t seed = 0;
  std::filesystem::path folder;
  std::string status = "missing";  // or as in Summary; "failed" with a problem
  std::string problem;
  Summary summary;       // where the run left one
  MetricsTable metrics;  // the epochs so far

  bool finished() const { return status == "finished"; }
};

struct ReportRow {
  std::string label;
  std::optional<RunSettings> settings;  // of a run that is there
  std::vector<ReportRun> runs;          // by seed, the missing ones too

  std::string method() const { return settings ? settings->method.method().name : ""; }
  bool reads_teacher() const { return settings && settings->method.method().reads.teacher; }
};

// One teacher and one student.
struct ReportPair {
  std::string name, teacher, student;  // names of networks; teacher is empty where nobody reads one
  std::string teacher_weights;         // a run's folder, RUN:best or a file; empty where it is not known
  std::optional<Summary> teacher_summary;
  std::vector<ReportRow> rows;

  const ReportRow* plain_kd() const;  // the row that others are compared with: kd with its default settings
};

struct ReportData {
  std::filesystem::path folder;
  std::string title, data;  // data: "cifar100:DIR"; empty if there are no runs
  std::vector<ReportPair> pairs;
  std::vector<std::string> notes;  // what could not be read

  bool is_cifar100() const { return data.starts_with("cifar100"); }
  bool is_synthetic() const { return data.starts_with("synthetic"); }
};

// Reads results.json of a study for what there should be, else looks for runs below the folder: LABEL/seed-K
// and single runs, grouped by networks and settings. Runs that cannot be read become notes. Fault::input if
// the folder is not there or holds no runs.
ReportData collect_report(const std::filesystem::path& folder);

// The finished seeds of both rows: top-1 of each, seed by seed.
struct PairedValues {
  std::vector<double> a, b;
};
PairedValues paired_values(const ReportRow& a, const ReportRow& b,
                           std::optional<EpochResult> Summary::*which);

// Top-1 of the finished runs.
std::vector<double> finished_values(const ReportRow& row, std::optional<EpochResult> Summary::*which);

}  // namespace retort
