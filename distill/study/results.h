// Results: runs that belong together, and which of them may be compared. `compare`, `report` and `--seeds`
// show the same.
//
// A pair is one data set (by its hash), one student, and one teacher (by the hash of its weights). Its rows
// are the runs of equal settings, one a seed. Two rows may be compared if they differ in the method alone; a
// difference is formed seed by seed, and has an interval from two seeds on. A run that is there twice counts
// once, and so do runs of equal weights: they are one run, whatever their folders say.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/settings/settings.h"
#include "distill/text/statistics.h"

namespace retort {

struct ResultRun {
  uint64_t seed = 0;
  std::filesystem::path folder = {};  // empty where there is none: not begun, or read from a published report
  std::string status = "missing";     // or as in Summary; "failed" with a problem; "left out" by choice
  std::string problem = {};
  Summary summary = {};       // where the run left one
  MetricsTable metrics = {};  // the epochs so far
  std::string left_out = {};  // why it does not count: "the weights of seed 1"; empty if it does

  bool finished() const { return status == "finished"; }
  bool counts() const { return finished() && left_out.empty(); }
};

struct ResultRow {
  std::string label, method;
  std::optional<RunSettings> settings;  // of a run that is there
  std::vector<ResultRun> runs = {};     // one a seed, ascending, the missing ones too
  std::vector<ResultRun> extra = {};    // further runs of a seed, which do not count
  std::string apart = "";               // in a published report without settings: why it cannot be compared

  bool reads_teacher() const;
  size_t finished() const;  // runs that count
  bool all_diverged() const;
  // What the runs are judged by; top-1 where none has begun.
  const Metric& metric() const;
  // The first metric of the runs that count, where it was measured.
  std::vector<double> values(std::optional<EpochResult> Summary::*which) const;
};

// What a published report says of the classes: there are no checkpoints to compute it from.
struct PublishedClasses {
  std::vector<std::string> names;
  std::vector<double> confidence;                    // of the teacher, by class
  std::map<std::string, std::vector<double>> gains;  // over KD, by the row's label and class
};

// And of the parts of PCD: a row against another, in words.
struct PublishedAnswer {
  std::string question, with, without, answer;
};

struct ResultPair {
  std::string name, teacher, student;        // names of networks; teacher is empty where nobody reads one
  std::string data;                          // "cifar100:DIR", as a run has it
  std::string data_hash, teacher_hash = "";  // empty where they are not known
  std::string teacher_weights = "";  // where they are now: a run's folder, RUN:best or a file; or empty
  std::optional<Summary> teacher_summary = {};
  std::vector<ResultRow> rows = {};
  std::optional<PublishedClasses> classes = {};
  std::vector<PublishedAnswer> answers = {};

  const Metric& metric() const;
  const ResultRow* plain_kd() const;  // the row that others are compared with: kd with fewest keys set
  const ResultRow* alone() const;     // the student without a teacher
  // Of a run that the teacher taught: plain kd, or the first row that may be compared. It says how the
  // teacher is read. nullptr if there is none.
  const RunSettings* taught() const;
  bool is_cifar100() const { return data.starts_with("cifar100"); }
  bool is_synthetic() const { return data.starts_with("synthetic"); }
  std::string data_name() const;  // "CIFAR-100"
};

struct Results {
  std::string title;
  std::vector<ResultPair> pairs;
  std::vector<std::string> notes;  // what could not be read
  bool published = false;          // from a report's file: there is nothing to evaluate
};

// Makes what is said above true of each row: orders its runs by seed, moves what is there again to `extra`,
// and marks what does not count. Which run stands for a seed depends on the runs alone, not on their order or
// place: a finished one, the one with more epochs, the smaller hash.
void settle(ResultRow& row);

// Rows that may be compared get the same seeds; those that are not there are missing.
void fill_missing_seeds(ResultPair& pair);

// A row against another of its pair, seed by seed.
struct Comparison {
  std::string apart;            // why they cannot be compared: "4 epochs against 1"; then n is 0
  PairedDifference best, last;  // row - reference
  size_t same_weights = 0;      // seeds in which both are one and the same network: they are no comparison
};
Comparison compare_rows(const ResultRow& row, const ResultRow& reference);
Comparison against_kd(const ResultPair& pair, const ResultRow& row);  // empty for KD itself, and without it

// What differs in the settings of two runs of a pair apart from method, seed and what changes no result: "4
// epochs against 1, batch 64 against 32". Empty if they may be compared.
std::string apart_by(const RunSettings& a, const RunSettings& b);
// How many settings differ so.
size_t distance(const RunSettings& a, const RunSettings& b);
// a's half of it: "4 epochs, batch 64".
std::string own_words(const RunSettings& a, const RunSettings& b);

// The settings that decide the numbers, as key and text: those of the training apart from the method, and
// those of the method. Equal ones make runs of one row; the first alone decide whether rows may be compared.
using KeysAndTexts = std::vector<std::pair<std::string, std::string>>;
KeysAndTexts training_keys(const RunSettings& settings);
KeysAndTexts method_keys(const RunSettings& settings);  // with a detector's boxes.*

// A method by its name and what is not as usual: "pcd, ranking none".
std::string method_label(const RunSettings& settings);
size_t keys_set(const RunSettings& settings);  // not at their defaults; warmup, which is scaled, aside

// What chose the best epochs, as summaries' best_by name it: "best test epoch", "epoch that held-out images
// chose", or both.
std::string best_words(const std::set<std::string>& by);

enum class Verdict { unknown, better, worse, cannot_tell };

// Of an interval: unknown without one, cannot_tell where it contains zero.
Verdict verdict_of(const PairedDifference& difference);

// "better", "worse", "cannot tell"; "one seed: no interval", "no interval: ..."; of a comparison that is
// none, "not comparable: 4 epochs against 1". "" if there is nothing to say.
std::string verdict_text(const PairedDifference& difference);
std::string verdict_text(const Comparison& comparison);

// "+0.42 (−0.10 to +0.94)"; without an interval "+0.42".
std::string difference_text(const PairedDifference& difference);

// "70.12 ± 0.31" of the runs that count; "diverged" or "failed" where all did, else `none`.
std::string mean_cell(const ResultRow& row, std::optional<EpochResult> Summary::*which,
                      const std::string& none);

// What does not count, what was not measured, and what stands apart, a sentence each: copies, rows, and whole
// pairs of one student.
std::vector<std::string> apart_sentences(const Results& results);

}  // namespace retort
