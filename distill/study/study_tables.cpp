// The results of a study as text, Markdown and JSON.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "distill/study/study_run.h"
#include "distill/text/statistics.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

std::vector<double> top1_of(const StudyRow& row, std::optional<EpochResult> Summary::*which) {
  std::vector<double> values;
  for (const StudyRun& run : row.runs) {
    if (run.finished() && run.summary.*which) values.push_back((run.summary.*which)->top1);
  }
  return values;
}

// "70.12 ± 0.31"; of how many runs, where some are missing; what became of them, where all are.
std::string cell(const StudyRow& row, const std::vector<double>& values) {
  if (values.empty()) {
    const std::string status = row.runs.empty() ? "missing" : row.runs.front().summary.status;
    return status == "diverged" || status == "failed" ? status : "-";
  }
  std::string shown = mean_and_deviation(values);
  if (values.size() < row.runs.size()) shown += text(" (", values.size(), " of ", row.runs.size(), ")");
  return shown;
}

std::string top1_text(const std::optional<EpochResult>& result) {
  return result ? fixed(result->top1, 2) : "-";
}

// The row of the student alone, if there is one.
const StudyRow* alone(const StudyBlock& block) {
  for (const StudyRow& row : block.rows) {
    if (row.method == "ce") return &row;
  }
  return nullptr;
}

// Difference of the best accuracies to the student alone, with its sign.
std::string gain_text(const StudyRow& row, const StudyRow* base) {
  if (!base || base == &row || row.best().empty() || base->best().empty()) return "";
  const double gain = mean_of(row.best()) - mean_of(base->best());
  return (gain >= 0 ? "+" : "") + fixed(gain, 2);
}

TextTable table_of(const StudyBlock& block) {
  TextTable table({"", "best", "last", "best to alone", "seconds"});
  const Summary& teacher = block.teacher.summary;
  table.add_row({"teacher " + teacher.model, top1_text(teacher.best), top1_text(teacher.last), "",
                 block.teacher_trained ? fixed(teacher.seconds, 1) : ""});
  const StudyRow* base = alone(block);
  for (const StudyRow& row : block.rows) {
    const bool only = base == &row;
    table.add_row({block.student + (only ? " alone" : " " + row.label), cell(row, row.best()),
                   cell(row, row.last()), gain_text(row, base), fixed(row.seconds(), 1)});
  }
  return table;
}

// Pairs downwards, methods across.
TextTable matrix_of(const StudyResult& result, std::optional<EpochResult> Summary::*which) {
  std::vector<std::string> headers = {"pair", "teacher"};
  for (const StudyRow& row : result.pairs.front().rows) headers.push_back(row.label);
  TextTable table(headers);
  for (const StudyBlock& block : result.pairs) {
    std::vector<std::string> cells = {block.name, top1_text(block.teacher.summary.*which)};
    for (const StudyRow& row : block.rows) cells.push_back(cell(row, top1_of(row, which)));
    table.add_row(cells);
  }
  return table;
}

std::vector<const StudyRun*> runs_of(const StudyResult& result) {
  std::vector<const StudyRun*> runs;
  for (const StudyBlock& block : result.pairs) {
    for (const StudyRow& row : block.rows) {
      for (const StudyRun& run : row.runs) runs.push_back(&run);
    }
  }
  return runs;
}

std::string footnote(const StudyResult& result) {
  size_t seeds = 0, diverged = 0, failed = 0, missing = 0;
  bool by_test = true;
  std::set<int> views;  // where augmentation was limited
  for (const StudyBlock& block : result.pairs) {
    for (const StudyRow& row : block.rows) seeds = std::max(seeds, row.runs.size());
  }
  for (const StudyRun* run : runs_of(result)) {
    if (run->finished() && run->summary.views != Summary{}.views) views.insert(run->summary.views);
    diverged += run->summary.status == "diverged";
    failed += run->summary.status == "failed";
    missing += run->summary.status == "missing" || run->summary.status == "stopped";
    if (run->finished()) by_test = run->summary.best_by == "test";
  }
  std::string note =
      text("Top-1 on the test images in percent, n = ", seeds, seeds == 1 ? " seed" : " seeds");
  if (seeds > 1) note += ", mean ± standard deviation";
  note += text("; best: ", by_test ? "the best test epoch" : "the epoch that held-out images chose", ".");
  if (seeds == 1) note += " One seed says little about small differences.";
  const auto add = [&](size_t count, const char* what) {
    if (count) note += text(" ", count, count == 1 ? " run " : " runs ", what, ".");
  };
  add(diverged, "diverged");
  add(failed, "failed");
  add(missing, "missing");
  if (!views.empty()) {
    std::string counts;
    for (const int count : views) counts += (counts.empty() ? "" : " and ") + std::to_string(count);
    note += text(" Runs with ", counts, " of ", Summary{}.views, " views of an image are among them.");
  }
  return note;
}

std::string tables_text(const StudyResult& result, std::string (TextTable::*style)() const) {
  if (result.pairs.size() == 1) return (table_of(result.pairs.front()).*style)();
  return "Best epoch:\n\n" + (matrix_of(result, &Summary::best).*style)() + "\nLast epoch:\n\n" +
         (matrix_of(result, &Summary::last).*style)();
}

Json json_of(const std::optional<EpochResult>& result) {
  return result ? Json(result->top1) : Json(nullptr);
}

Json json_of(const StudyRun& run, const std::filesystem::path& folder) {
  Json json = {{"seed", run.seed},
               {"folder", run.folder.lexically_relative(folder).string()},
               {"status", run.summary.status},
               {"views", run.summary.views},
               {"best", json_of(run.summary.best)},
               {"last", json_of(run.summary.last)},
               {"seconds", run.summary.seconds},
               {"weights_hash", run.summary.weights_hash}};
  if (!run.problem.empty()) json["problem"] = run.problem;
  return json;
}

Json mean_json(const std::vector<double>& values) {
  return values.empty() ? Json(nullptr) : Json(mean_of(values));
}

Json json_of(const StudyRow& row, const std::filesystem::path& folder) {
  Json runs = Json::array();
  for (const StudyRun& run : row.runs) runs.push_back(json_of(run, folder));
  const bool some = !row.best().empty();
  return {{"label", row.label},
          {"method", row.method},
          {"best", mean_json(row.best())},
          {"last", mean_json(row.last())},
          {"n", row.best().size()},
          {"seconds", some ? Json(row.seconds()) : Json(nullptr)},
          {"runs", runs}};
}

}  // namespace

std::vector<double> StudyRow::best() const {
  return top1_of(*this, &Summary::best);
}

std::vector<double> StudyRow::last() const {
  return top1_of(*this, &Summary::last);
}

double StudyRow::seconds() const {
  std::vector<double> values;
  for (const StudyRun& run : runs) {
    if (run.finished()) values.push_back(run.summary.seconds);
  }
  return mean_of(values);
}

std::string study_text(const StudyResult& result) {
  std::string all = result.title + "\n\n" + tables_text(result, &TextTable::plain) + "\n" + footnote(result);
  for (const StudyRun* run : runs_of(result)) {
    if (!run->problem.empty())
      all += text("\n", run->folder.string(), ": ", run->summary.status, ": ", run->problem);
  }
  return all + "\n";
}

std::string study_markdown(const StudyResult& result) {
  return "# " + result.title + "\n\n" + tables_text(result, &TextTable::markdown) + "\n" + footnote(result) +
         "\n";
}

std::string study_json(const StudyResult& result, const std::filesystem::path& folder) {
  Json pairs = Json::array();
  for (const StudyBlock& block : result.pairs) {
    Json rows = Json::array();
    for (const StudyRow& row : block.rows) rows.push_back(json_of(row, folder));
    Json teacher = {{"model", block.teacher.summary.model},
                    {"best", json_of(block.teacher.summary.best)},
                    {"last", json_of(block.teacher.summary.last)},
                    {"seconds", block.teacher.summary.seconds}};
    if (block.teacher_trained) {
      teacher["folder"] = block.teacher.folder.lexically_relative(folder).string();
      teacher["status"] = block.teacher.summary.status;
    }
    pairs.push_back({{"name", block.name}, {"student", block.student}, {"teacher", teacher}, {"rows", rows}});
  }
  return Json{{"title", result.title}, {"data", result.data}, {"pairs", pairs}}.dump(
             2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

}  // namespace retort
