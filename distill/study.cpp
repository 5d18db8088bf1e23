#include "distill/study.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "distill/curves_svg.h"
#include "distill/run_folder.h"
#include "distill/setting_keys.h"
#include "distill/statistics.h"
#include "distill/table_teacher.h"
#include "distill/text_format.h"
#include "distill/text_table.h"
#include "distill/toml_file.h"
#include "distill/weights.h"
#include "engine/check.h"
#include "engine/nearest.h"
#include "layers/atomic_file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

const TomlValue* table_at(const TomlValue& top, const std::string& name, const std::string& file) {
  const TomlValue* value = top.find(name);
  check(!value || value->kind == TomlValue::table, Fault::usage, file, ": ", name, " is ",
        value ? name_of(value->kind) : "", ", expected a table");
  return value;
}

std::string text_at(const TomlValue& table, const std::string& name, const std::string& fallback,
                    const std::string& file) {
  const TomlValue* value = table.find(name);
  if (!value) return fallback;
  check(value->kind == TomlValue::string, Fault::usage, file, ":", value->line, ": ", name, " is ",
        name_of(value->kind), ", expected a string");
  return value->as_string;
}

// A label is a folder's name too.
void check_label(const std::string& label, const std::string& file, int line) {
  const bool fine = !label.empty() && label != "teacher" && label[0] != '.' &&
                    label.find_first_of("/\\\n\t") == std::string::npos;
  check(fine, Fault::usage, file, ":", line, ": the label '", label,
        "' cannot name a folder; expected text without slashes, and not 'teacher'");
}

std::string result_text(const std::vector<double>& values) {
  if (values.empty()) return "-";
  return fixed(mean_of(values), 2) + (values.size() > 1 ? " ± " + fixed(deviation_of(values), 2) : "");
}

// The row of the student alone, if there is one.
const StudyRow* alone(const StudyResult& result) {
  for (const StudyRow& row : result.rows) {
    if (!row.runs.empty() && row.runs[0].method == "ce") return &row;
  }
  return nullptr;
}

// Difference of the best accuracies to the student alone, with its sign.
std::string gain_text(const StudyRow& row, const StudyRow* base) {
  if (!base || base == &row || row.best.empty() || base->best.empty()) return "";
  const double gain = mean_of(row.best) - mean_of(base->best);
  return (gain >= 0 ? "+" : "") + fixed(gain, 2);
}

TextTable table_of(const StudyResult& result) {
  TextTable table({"", "best", "last", "best to alone", "seconds"});
  const auto top1 = [](const std::optional<EpochResult>& r) {
    return r ? fixed(r->top1, 2) : std::string("-");
  };
  table.add_row({"teacher " + result.teacher.model, top1(result.teacher.best), top1(result.teacher.last), "",
                 fixed(result.teacher.seconds, 1)});
  const StudyRow* base = alone(result);
  for (const StudyRow& row : result.rows) {
    const bool only = base == &row;
    table.add_row({result.student + (only ? " alone" : " " + row.label), result_text(row.best),
                   result_text(row.last), gain_text(row, base), fixed(row.seconds, 1)});
  }
  return table;
}

std::string footnote(const StudyResult& result) {
  size_t seeds = 0, diverged = 0;
  for (const StudyRow& row : result.rows) {
    seeds = std::max(seeds, row.runs.size());
    for (const Summary& run : row.runs) diverged += run.status == "diverged";
  }
  const bool by_test =
      result.rows.empty() || result.rows[0].runs.empty() || result.rows[0].runs[0].best_by == "test";
  std::string note =
      text("Top-1 on the test images in percent, n = ", seeds, seeds == 1 ? " seed" : " seeds");
  if (seeds > 1) note += ", mean ± standard deviation";
  note += text("; best: ", by_test ? "the best test epoch" : "the epoch that held-out images chose", ".");
  if (seeds == 1) note += " One seed says little about small differences.";
  if (diverged) note += text(" ", diverged, diverged == 1 ? " run" : " runs", " diverged.");
  return note;
}

// A run of the study. One that diverged is a result too.
Summary run_one(RunSettings settings, const fs::path& folder, bool force, Session& session) {
  try {
    if (!force) return complete_run(settings, folder, session);
    return start_run(std::move(settings), folder, fs::exists(folder), session);
  } catch (const Error& error) {
    if (error.fault() != Fault::diverged) throw;
    session.progress.note(text(folder.string(), ": ", error.what()));
    Summary summary = read_summary(folder / "summary.json");
    summary.status = "diverged";
    return summary;
  }
}

void write_results(const StudyResult& result, const fs::path& folder) {
  write_file(folder / "results.json", study_json(result));
  write_file(folder / "results.md", study_markdown(result));
  std::vector<RunCurves> curves;
  for (const StudyRow& row : result.rows) {
    if (row.runs.empty()) continue;
    const fs::path metrics = folder / row.label / text("seed-", row.runs[0].seed) / "metrics.csv";
    if (fs::exists(metrics)) curves.push_back({row.label, read_metrics(metrics)});
  }
  if (!curves.empty()) write_learning_curves(folder / "curves.svg", result.title, curves);
}

}  // namespace

Study read_study(const fs::path& path) {
  const TomlValue top = read_toml(path);
  const std::string file = path.string();
  const std::vector<std::string> known = {"title", "seeds", "settings", "teacher", "student", "methods"};
  for (size_t i = 0; i < top.names.size(); ++i) {
    check(std::find(known.begin(), known.end(), top.names[i]) != known.end(), Fault::usage, file, ":",
          top.items[i].line, ": unknown key '", top.names[i], "'; did you mean '",
          nearest(top.names[i], known), "'?");
  }
  Study study;
  study.title = text_at(top, "title", path.stem().string(), file);
  if (const TomlValue* seeds = top.find("seeds")) {
    check(seeds->kind == TomlValue::integer && seeds->as_integer >= 1 && seeds->as_integer <= 1000,
          Fault::usage, file, ":", seeds->line, ": seeds is not an integer from 1 to 1000");
    study.seeds = int(seeds->as_integer);
  }
  RunSettings shared = default_settings("train");
  if (const TomlValue* settings = table_at(top, "settings", file)) set_from_table(shared, *settings, file);
  study.teacher = shared;
  if (const TomlValue* teacher = table_at(top, "teacher", file)) {
    study.teacher_weights = text_at(*teacher, "weights", "", file);
    set_from_table(study.teacher, *teacher, file, {"weights"});
  }
  RunSettings student = shared;
  if (const TomlValue* own = table_at(top, "student", file)) set_from_table(student, *own, file);
  check(!student.model.empty(), Fault::usage, file,
        ": no student is named; expected [student] with model = \"NAME\"");

  const TomlValue* methods = top.find("methods");
  check(methods && methods->kind == TomlValue::array && !methods->items.empty(), Fault::usage, file,
        ": no methods; expected one or more [[methods]] with name = \"NAME\"");
  for (const TomlValue& entry : methods->items) {
    check(entry.kind == TomlValue::table, Fault::usage, file, ":", entry.line, ": a method is ",
          name_of(entry.kind), ", expected [[methods]]");
    StudyMethod method{text_at(entry, "label", text_at(entry, "name", "", file), file), student};
    check_label(method.label, file, entry.line);
    for (const StudyMethod& other : study.methods) {
      check(other.label != method.label, Fault::usage, file, ":", entry.line, ": the label '", method.label,
            "' stands twice; give one of them another label");
    }
    // The entry, less its label, is the [method] table of a run.
    TomlValue own = entry, wrapped;
    for (size_t i = 0; i < own.names.size(); ++i) {
      if (own.names[i] != "label") continue;
      own.names.erase(own.names.begin() + int64_t(i));
      own.items.erase(own.items.begin() + int64_t(i));
      break;
    }
    wrapped.line = entry.line;
    wrapped.names = {"method"};
    wrapped.items = {own};
    set_from_table(method.settings, wrapped, file);
    method.settings.command = method.settings.method.method().reads.teacher ? "distill" : "train";
    study.methods.push_back(std::move(method));
  }
  return study;
}

StudyResult run_study(const Study& study, const fs::path& path, bool force, Session& session) {
  // One spelling: it becomes part of the runs' settings, and a resumed study compares those.
  const fs::path folder = path.lexically_normal();
  StudyResult result;
  result.title = study.title;
  result.data = study.methods[0].settings.data.spec;
  result.student = study.methods[0].settings.model;
  const bool given = !study.teacher_weights.empty();
  const std::string teacher = given ? study.teacher_weights : (folder / "teacher").string();
  if (given) {
    const Weights weights = read_weights(teacher);
    result.teacher.model = study.teacher.model.empty() ? weights.architecture : study.teacher.model;
  }
  const auto settings_of = [&](const StudyMethod& method, int seed) {
    RunSettings settings = method.settings;
    settings.seed += uint64_t(seed);
    if (settings.method.method().reads.teacher) {
      settings.teacher = teacher;
      if (given) settings.teacher_model = study.teacher.model;
      // Its runs share the teacher.
      if (settings.teacher_source == "auto" && table_refusal(settings).empty())
        settings.teacher_source = "table";
    }
    return settings;
  };
  const auto folder_of = [&](const StudyMethod& method, int seed) {
    return folder / method.label / text("seed-", method.settings.seed + uint64_t(seed));
  };
  // What can be refused is refused now, not after the hours of the runs before it.
  if (!force) check_same_run(study.teacher, folder / "teacher");
  for (const StudyMethod& method : study.methods) {
    for (int seed = 0; seed < study.seeds; ++seed) {
      RunSettings settings = settings_of(method, seed);
      if (!force) check_same_run(settings, folder_of(method, seed));
      resolve(settings);
    }
  }

  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, Fault::write, folder.string(), ": the folder cannot be made: ", error.message());
  const bool wanted = std::any_of(study.methods.begin(), study.methods.end(), [](const StudyMethod& m) {
    return m.settings.method.method().reads.teacher;
  });
  if (wanted && !given) {
    check(
        !study.teacher.model.empty(), Fault::usage, study.title,
        ": a method needs a teacher; expected [teacher] with model = \"NAME\" or weights = \"RUN or FILE\"");
    session.progress.note(text("training the teacher, ", study.teacher.model));
    result.teacher = run_one(study.teacher, teacher, force, session);
    result.stopped = result.teacher.status == "stopped";
    check(result.teacher.status != "diverged", Fault::diverged, teacher, ": the teacher diverged");
  }
  for (const StudyMethod& method : study.methods) {
    if (result.stopped) break;
    RunSettings settings = settings_of(method, 0);
    prepare_run(settings, session);
  }
  for (const StudyMethod& method : study.methods) {
    if (result.stopped) break;
    StudyRow row{.label = method.label, .runs = {}, .best = {}, .last = {}};
    for (int seed = 0; seed < study.seeds && !result.stopped; ++seed) {
      const RunSettings settings = settings_of(method, seed);
      session.progress.note(text(settings.model, ", ", method.label, ", seed ", settings.seed));
      Summary run = run_one(settings, folder_of(method, seed), force, session);
      result.stopped = run.status == "stopped";
      if (run.status == "finished") {
        row.best.push_back(run.best->top1);
        row.last.push_back(run.last->top1);
      }
      row.seconds += run.seconds / study.seeds;
      row.runs.push_back(std::move(run));
    }
    result.rows.push_back(std::move(row));
  }
  if (!result.stopped) write_results(result, folder);
  return result;
}

std::string study_text(const StudyResult& result) {
  return result.title + "\n\n" + table_of(result).plain() + "\n" + footnote(result) + "\n";
}

std::string study_markdown(const StudyResult& result) {
  return "# " + result.title + "\n\n" + table_of(result).markdown() + "\n" + footnote(result) + "\n";
}

std::string study_json(const StudyResult& result) {
  using Json = nlohmann::ordered_json;
  const auto top1 = [](const std::optional<EpochResult>& r) { return r ? Json(r->top1) : Json(nullptr); };
  Json rows = Json::array();
  for (const StudyRow& row : result.rows) {
    Json runs = Json::array();
    for (const Summary& run : row.runs) {
      runs.push_back({{"seed", run.seed},
                      {"status", run.status},
                      {"best", top1(run.best)},
                      {"last", top1(run.last)},
                      {"seconds", run.seconds},
                      {"weights_hash", run.weights_hash}});
    }
    rows.push_back({{"label", row.label},
                    {"method", row.runs.empty() ? "" : row.runs[0].method},
                    {"best", row.best.empty() ? Json(nullptr) : Json(mean_of(row.best))},
                    {"last", row.last.empty() ? Json(nullptr) : Json(mean_of(row.last))},
                    {"n", row.best.size()},
                    {"seconds", row.seconds},
                    {"runs", runs}});
  }
  const Json teacher = {{"model", result.teacher.model},
                        {"best", top1(result.teacher.best)},
                        {"last", top1(result.teacher.last)},
                        {"seconds", result.teacher.seconds}};
  return Json{{"title", result.title},
              {"data", result.data},
              {"student", result.student},
              {"teacher", teacher},
              {"rows", rows}}
             .dump(2) +
         "\n";
}

}  // namespace retort
