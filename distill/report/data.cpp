#include "distill/report/data.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "distill/methods/registry.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Of a spec RUN, RUN:best or FILE.
fs::path without_best(const std::string& spec) {
  return spec.ends_with(":best") ? spec.substr(0, spec.size() - 5) : spec;
}

struct FoundRun {
  ReportRun run;
  RunSettings settings;
};

class Collector {
 public:
  explicit Collector(const fs::path& folder) { data_.folder = folder; }

  ReportData collect() {
    std::error_code ignored;
    check(fs::is_directory(data_.folder, ignored), Fault::input, data_.folder.string(),
          ": there is no such folder, expected a study's or one with runs");
    data_.title = data_.folder.lexically_normal().filename().string();
    if (data_.title.empty()) data_.title = data_.folder.parent_path().filename().string();
    if (!from_results()) from_scan();
    data_.pairs.erase(std::remove_if(data_.pairs.begin(), data_.pairs.end(),
                                     [](const ReportPair& pair) { return pair.rows.empty(); }),
                      data_.pairs.end());
    check(!data_.pairs.empty(), Fault::input, data_.folder.string(),
          ": holds no runs, expected a study's folder or one with runs");
    for (ReportPair& pair : data_.pairs) fill_missing_seeds(pair);
    return std::move(data_);
  }

 private:
  std::optional<FoundRun> read_run(const fs::path& folder) {
    if (!RunFolder::is_run(folder)) return std::nullopt;
    try {
      FoundRun found;
      read_settings(folder / "config.toml", found.settings);
      found.run.folder = folder;
      found.run.seed = found.settings.seed;
      found.run.status = "running";
      if (fs::exists(folder / "summary.json")) {
        found.run.summary = read_summary(folder / "summary.json");
        found.run.status = found.run.summary.status;
      }
      if (fs::exists(folder / "metrics.csv")) found.run.metrics = read_metrics(folder / "metrics.csv");
      if (data_.data.empty()) data_.data = found.settings.data.spec;
      return found;
    } catch (const Error& error) {
      data_.notes.push_back(error.what());
      return std::nullopt;
    }
  }

  // A study's own list of what there should be. False if there is none that can be read.
  bool from_results() {
    const fs::path file = data_.folder / "results.json";
    if (!fs::exists(file)) return false;
    const Json json = Json::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return false;
    try {
      if (json.contains("title")) data_.title = json.at("title").get<std::string>();
      if (!json.contains("pairs")) return false;  // of an older program: the runs themselves say more
      for (const Json& entry : json.at("pairs")) read_pair(entry);
    } catch (const Json::exception& error) {
      fail(Fault::input, file.string(), ": is no study's results: ", error.what());
    }
    return true;
  }

  void read_pair(const Json& entry) {
    ReportPair pair;
    pair.name = entry.at("name").get<std::string>();
    pair.student = entry.at("student").get<std::string>();
    const Json& teacher = entry.at("teacher");
    pair.teacher = teacher.at("model").get<std::string>();
    for (const Json& row_entry : entry.at("rows")) {
      ReportRow row{.label = row_entry.at("label").get<std::string>(), .settings = {}, .runs = {}};
      for (const Json& run_entry : row_entry.at("runs")) {
        std::optional<FoundRun> found = read_run(data_.folder / run_entry.at("folder").get<std::string>());
        ReportRun run;
        if (found) {
          run = std::move(found->run);
          if (!row.settings) row.settings = found->settings;
          if (!found->settings.teacher.empty()) pair.teacher_weights = found->settings.teacher;
        }
        run.seed = run_entry.at("seed").get<uint64_t>();
        run.problem = run_entry.value("problem", "");
        if (run_entry.at("status") == "failed") run.status = "failed";
        row.runs.push_back(std::move(run));
      }
      pair.rows.push_back(std::move(row));
    }
    if (teacher.contains("folder"))
      pair.teacher_weights = (data_.folder / teacher.at("folder").get<std::string>()).string();
    find_teacher(pair);
    data_.pairs.push_back(std::move(pair));
  }

  // Whatever runs there are.
  void from_scan() {
    std::vector<FoundRun> runs;
    std::vector<fs::path> folders;
    std::error_code ignored;
    if (RunFolder::is_run(data_.folder)) folders.push_back(data_.folder);
    for (const auto& entry : fs::recursive_directory_iterator(data_.folder, ignored)) {
      if (entry.path().filename() == "config.toml") folders.push_back(entry.path().parent_path());
    }
    std::sort(folders.begin(), folders.end());
    folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
    for (const fs::path& folder : folders) {
      if (std::optional<FoundRun> run = read_run(folder)) runs.push_back(std::move(*run));
    }
    std::set<fs::path> teachers;  // runs that teach others
    for (const FoundRun& found : runs) {
      if (found.settings.teacher.empty()) continue;
      const fs::path place = located(found.settings.teacher);
      if (!place.empty()) teachers.insert(fs::weakly_canonical(place, ignored));
      pair_of(found.settings);
    }
    for (FoundRun& found : runs) {
      const fs::path place = fs::weakly_canonical(found.run.folder, ignored);
      const std::string name = place.filename().string();
      if (!data_.pairs.empty() &&
          (teachers.contains(place) || name == "teacher" || place.parent_path().filename() == "teachers"))
        continue;
      add(std::move(found));
    }
    for (ReportPair& pair : data_.pairs) order_rows(pair);
  }

  // Where the weights lie that a run names: as it named them, or in this folder, if it was moved.
  fs::path located(const std::string& spec) const {
    std::error_code ignored;
    const fs::path given = without_best(spec);
    if (fs::exists(given, ignored)) return given;
    for (const fs::path& tail : {given.filename(), given.parent_path().filename() / given.filename()}) {
      if (fs::exists(data_.folder / tail, ignored)) return data_.folder / tail;
    }
    return {};
  }

  // Two runs have one teacher if they name one place, however they spell it.
  std::string identity(const std::string& spec) const {
    std::error_code ignored;
    const fs::path place = spec.empty() ? fs::path() : located(spec);
    if (place.empty()) return spec;
    return fs::weakly_canonical(place, ignored).string() + (spec.ends_with(":best") ? ":best" : "");
  }

  ReportPair& pair_of(const RunSettings& settings) {
    const auto [known, is_new] =
        by_networks_.try_emplace({settings.model, identity(settings.teacher)}, data_.pairs.size());
    if (!is_new) return data_.pairs[known->second];
    ReportPair pair;
    pair.student = settings.model;
    pair.teacher = settings.teacher_model;
    pair.teacher_weights = settings.teacher;
    find_teacher(pair);
    pair.name = pair.teacher.empty() ? pair.student : pair.teacher + "-" + pair.student;
    data_.pairs.push_back(std::move(pair));
    return data_.pairs.back();
  }

  // The name and results of the teacher, and where its weights are now.
  void find_teacher(ReportPair& pair) {
    if (pair.teacher_weights.empty()) return;
    const fs::path place = located(pair.teacher_weights);
    const bool best = pair.teacher_weights.ends_with(":best");
    pair.teacher_weights = place.empty() ? "" : place.string() + (best ? ":best" : "");
    if (place.empty()) return;
    try {
      if (const std::optional<FoundRun> run = read_run(place)) {
        pair.teacher = run->settings.model;
        if (fs::exists(place / "summary.json")) pair.teacher_summary = run->run.summary;
      } else if (pair.teacher.empty()) {
        pair.teacher = read_weights(pair.teacher_weights).architecture;
      }
    } catch (const Error& error) {
      data_.notes.push_back(error.what());
    }
  }

  void add(FoundRun found) {
    if (found.settings.method.method().reads.teacher) return add_to(pair_of(found.settings), found);
    // Alone it stands beside all that have its network.
    bool added = false;
    for (ReportPair& pair : data_.pairs) {
      if (pair.student != found.settings.model) continue;
      add_to(pair, found);
      added = true;
    }
    if (!added) add_to(pair_of(found.settings), found);
  }

  static std::string deciding(RunSettings settings) {
    settings.seed = 0;
    settings.threads = 0;
    settings.data.workers = 0;
    settings.checkpoint_minutes = 0;
    settings.teacher.clear();
    return settings_toml(settings);
  }

  static void add_to(ReportPair& pair, const FoundRun& found) {
    for (ReportRow& row : pair.rows) {
      if (deciding(*row.settings) == deciding(found.settings)) {
        row.runs.push_back(found.run);
        return;
      }
    }
    const fs::path leaf = found.run.folder.filename();
    std::string label = leaf.string().starts_with("seed-")
                            ? found.run.folder.parent_path().filename().string()
                            : found.settings.method.method().name;
    const auto taken = [&] {
      return std::any_of(pair.rows.begin(), pair.rows.end(),
                         [&](const ReportRow& row) { return row.label == label; });
    };
    if (taken()) label = leaf.string();
    while (taken()) label += "'";
    pair.rows.push_back({.label = label, .settings = found.settings, .runs = {found.run}});
  }

  // In the order of the methods, plain ones before their variants.
  static void order_rows(ReportPair& pair) {
    const auto rank = [](const ReportRow& row) {
      size_t index = 0;
      while (index < methods().size() && methods()[index].name != row.method()) ++index;
      return std::make_pair(index, row.label != row.method());
    };
    std::stable_sort(pair.rows.begin(), pair.rows.end(),
                     [&](const ReportRow& a, const ReportRow& b) { return rank(a) < rank(b); });
  }

  // Every row of a pair has the same seeds; those that are not there are missing.
  static void fill_missing_seeds(ReportPair& pair) {
    std::set<uint64_t> seeds;
    for (const ReportRow& row : pair.rows) {
      for (const ReportRun& run : row.runs) seeds.insert(run.seed);
    }
    for (ReportRow& row : pair.rows) {
      for (const uint64_t seed : seeds) {
        const bool there = std::any_of(row.runs.begin(), row.runs.end(),
                                       [&](const ReportRun& run) { return run.seed == seed; });
        if (!there) {
          row.runs.push_back({});
          row.runs.back().seed = seed;
        }
      }
      std::sort(row.runs.begin(), row.runs.end(),
                [](const ReportRun& a, const ReportRun& b) { return a.seed < b.seed; });
    }
  }

  ReportData data_;
  std::map<std::pair<std::string, std::string>, size_t> by_networks_;  // pairs, by student and teacher
};

}  // namespace

const ReportRow* ReportPair::plain_kd() const {
  for (const ReportRow& row : rows) {
    if (row.method() == "kd" && row.label == "kd") return &row;
  }
  for (const ReportRow& row : rows) {
    if (row.method() == "kd") return &row;
  }
  return nullptr;
}

ReportData collect_report(const std::filesystem::path& folder) {
  return Collector(folder).collect();
}

PairedValues paired_values(const ReportRow& a, const ReportRow& b,
                           std::optional<EpochResult> Summary::*which) {
  PairedValues values;
  for (const ReportRun& run : a.runs) {
    for (const ReportRun& other : b.runs) {
      if (run.seed != other.seed || !run.finished() || !other.finished()) continue;
      values.a.push_back((run.summary.*which)->top1);
      values.b.push_back((other.summary.*which)->top1);
    }
  }
  return values;
}

std::vector<double> finished_values(const ReportRow& row, std::optional<EpochResult> Summary::*which) {
  std::vector<double> values;
  for (const ReportRun& run : row.runs) {
    if (run.finished() && run.summary.*which) values.push_back((run.summary.*which)->top1);
  }
  return values;
}

}  // namespace retort
