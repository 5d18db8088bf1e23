// The results of a study as text, Markdown and JSON.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "distill/run/sealed.h"
#include "distill/study/study_run.h"
#include "distill/text/markup.h"
#include "distill/text/statistics.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;
using Which = std::optional<EpochResult> Summary::*;

// "70.12 ± 0.31"; of how many runs, where some are missing; what became of them, where all are.
std::string cell(const ResultRow& row, Which which) {
  std::string shown = mean_cell(row, which, "-");
  const size_t count = row.values(which).size();
  if (count > 0 && count < row.runs.size()) shown += text(" (", count, " of ", row.runs.size(), ")");
  return shown;
}

std::string first_text(const std::optional<EpochResult>& result) {
  return result ? result->values[0].metric.number(result->first()) : "-";
}

double seconds_of(const ResultRow& row) {
  std::vector<double> values;
  for (const ResultRun& run : row.runs) {
    if (run.finished()) values.push_back(run.summary.seconds);
  }
  return mean_of(values);
}

// How much better the best epochs are than those of the student alone, seed by seed.
std::string gain_text(const ResultRow& row, const ResultRow* alone) {
  if (!alone || alone == &row) return "";
  const Comparison comparison = compare_rows(row, *alone);
  if (!comparison.apart.empty()) return "not comparable";
  if (comparison.best.n == 0) return "";
  return (comparison.best.mean >= 0 ? "+" : "") + fixed(comparison.best.mean, comparison.best.digits);
}

TextTable table_of(const ResultPair& pair, bool teacher_trained) {
  TextTable table({"", "best", "last", "best to alone", "seconds"});
  const Summary teacher = pair.teacher_summary.value_or(Summary{});
  table.add_row({"teacher " + pair.teacher, first_text(teacher.best), first_text(teacher.last), "",
                 teacher_trained ? fixed(teacher.seconds, 1) : ""});
  const ResultRow* alone = pair.alone();
  for (const ResultRow& row : pair.rows) {
    table.add_row({pair.student + (alone == &row ? " alone" : " " + row.label), cell(row, &Summary::best),
                   cell(row, &Summary::last), gain_text(row, alone), fixed(seconds_of(row), 1)});
  }
  return table;
}

// Pairs downwards, methods across.
TextTable matrix_of(const StudyResult& result, Which which) {
  std::vector<std::string> headers = {"pair", "teacher"};
  for (const ResultRow& row : result.pairs.front().rows) headers.push_back(row.label);
  TextTable table(headers);
  for (const ResultPair& pair : result.pairs) {
    std::vector<std::string> cells = {
        pair.name, pair.teacher_summary ? first_text((*pair.teacher_summary).*which) : "-"};
    for (const ResultRow& row : pair.rows) cells.push_back(cell(row, which));
    table.add_row(cells);
  }
  return table;
}

// Each run once: a student without a teacher stands in several tables.
std::vector<const ResultRun*> runs_of(const StudyResult& result) {
  std::vector<const ResultRun*> runs;
  std::set<std::filesystem::path> seen;
  for (const ResultPair& pair : result.pairs) {
    for (const ResultRow& row : pair.rows) {
      for (const ResultRun& run : row.runs) {
        if (seen.insert(run.folder).second) runs.push_back(&run);
      }
    }
  }
  return runs;
}

std::string footnote(const StudyResult& result) {
  const Metric& metric = result.pairs.front().metric();
  size_t seeds = 0, diverged = 0, failed = 0, missing = 0;
  std::set<std::string> best_by;
  std::set<int> views;  // where augmentation was limited
  for (const ResultPair& pair : result.pairs) {
    for (const ResultRow& row : pair.rows) seeds = std::max(seeds, row.runs.size());
  }
  for (const ResultRun* run : runs_of(result)) {
    if (run->finished() && run->summary.views != Summary{}.views) views.insert(run->summary.views);
    diverged += run->status == "diverged";
    failed += run->status == "failed";
    missing += run->status == "missing" || run->status == "stopped";
    if (run->finished()) best_by.insert(run->summary.best_by);
  }
  std::string note = text(metric.title, " on the test images", metric.in_percent() ? " in percent" : "",
                          ", n = ", seeds, seeds == 1 ? " seed" : " seeds");
  if (seeds > 1) note += ", mean ± standard deviation";
  note += "; best: the " + best_words(best_by) + ".";
  if (seeds == 1) note += " One seed says little about small differences.";
  note += " Seconds are this machine's, with what else it did.";
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
  if (result.pairs.size() == 1)
    return (table_of(result.pairs.front(), bool(result.teachers.front())).*style)();
  return "Best epoch:\n\n" + (matrix_of(result, &Summary::best).*style)() + "\nLast epoch:\n\n" +
         (matrix_of(result, &Summary::last).*style)();
}

std::vector<std::string> sentences_of(const StudyResult& result) {
  std::vector<std::string> sentences =
      apart_sentences({.title = result.title, .pairs = result.pairs, .notes = {}});
  if (!result.not_chosen.empty())
    sentences.push_back(text("Left out by choice: ", join(result.not_chosen),
                             "; what was there of it already stands in the table."));
  return sentences;
}

Json json_of(const std::optional<EpochResult>& result) {
  return result ? Json(result->first()) : Json(nullptr);
}

Json json_of(const ResultRun& run, const std::filesystem::path& folder) {
  Json json = {{"seed", run.seed},
               {"folder", run.folder.lexically_relative(folder).string()},
               {"status", run.status},
               {"views", run.summary.views},
               {"best", json_of(run.summary.best)},
               {"last", json_of(run.summary.last)},
               {"seconds", run.summary.seconds},
               {"weights_hash", run.summary.weights_hash}};
  if (!run.problem.empty()) json["problem"] = run.problem;
  if (!run.left_out.empty()) json["left_out"] = run.left_out;
  return json;
}

Json mean_json(const std::vector<double>& values) {
  return values.empty() ? Json(nullptr) : Json(mean_of(values));
}

Json json_of(const ResultRow& row, const std::filesystem::path& folder) {
  Json runs = Json::array();
  for (const ResultRun& run : row.runs) runs.push_back(json_of(run, folder));
  const std::vector<double> best = row.values(&Summary::best);
  return {{"label", row.label},
          {"method", row.method},
          {"best", mean_json(best)},
          {"last", mean_json(row.values(&Summary::last))},
          {"n", best.size()},
          {"seconds", seconds_of(row)},
          {"runs", runs}};
}

}  // namespace

std::string study_text(const StudyResult& result) {
  std::string all =
      one_line(result.title) + "\n\n" + tables_text(result, &TextTable::plain) + "\n" + footnote(result);
  for (const std::string& sentence : sentences_of(result)) all += "\n" + one_line(sentence);
  for (const ResultRun* run : runs_of(result)) {
    if (!run->problem.empty()) all += text("\n", run->folder.string(), ": ", run->status, ": ", run->problem);
  }
  return all + "\n";
}

std::string study_markdown(const StudyResult& result) {
  std::string all = "# " + escaped_markdown(result.title) + "\n\n" +
                    tables_text(result, &TextTable::markdown) + "\n" + footnote(result) + "\n";
  for (const std::string& sentence : sentences_of(result)) all += "\n- " + escaped_markdown(sentence) + "\n";
  return all;
}

std::string study_json(const StudyResult& result, const std::filesystem::path& folder, bool seal) {
  Json pairs = Json::array();
  for (size_t p = 0; p < result.pairs.size(); ++p) {
    const ResultPair& pair = result.pairs[p];
    Json rows = Json::array();
    for (const ResultRow& row : pair.rows) rows.push_back(json_of(row, folder));
    const Summary summary = pair.teacher_summary.value_or(Summary{});
    Json teacher = {{"model", pair.teacher},
                    {"best", json_of(summary.best)},
                    {"last", json_of(summary.last)},
                    {"seconds", summary.seconds}};
    if (result.teachers[p]) {
      teacher["folder"] = result.teachers[p]->folder.lexically_relative(folder).string();
      teacher["status"] = result.teachers[p]->status;
    }
    pairs.push_back({{"name", pair.name}, {"student", pair.student}, {"teacher", teacher}, {"rows", rows}});
  }
  const Json all = {{"schema", 1},
                    {"title", result.title},
                    {"data", result.data},
                    {"pairs", pairs},
                    {"not_chosen", result.not_chosen}};
  return (seal ? sealed(all) : all).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string seeds_text(const ResultRow& row) {
  TextTable table({"seed", "best", "last", "seconds"});
  for (const ResultRun& run : row.runs) {
    const auto shown = [&](const std::optional<EpochResult>& result) {
      return run.finished() ? first_text(result) : run.status;
    };
    table.add_row({std::to_string(run.seed), shown(run.summary.best), shown(run.summary.last),
                   fixed(run.summary.seconds, 1)});
  }
  table.add_row({"mean", mean_cell(row, &Summary::best, "-"), mean_cell(row, &Summary::last, "-"),
                 fixed(seconds_of(row), 1)});
  std::string all = table.plain();
  for (const ResultRun& run : row.runs) {
    if (!run.left_out.empty()) all += text("seed ", run.seed, " does not count: ", run.left_out, "\n");
  }
  return all;
}

}  // namespace retort
