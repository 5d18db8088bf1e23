#include "distill/study/collect.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "distill/run/json_bounds.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/grouping.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/report_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

fs::path real_path(const fs::path& path) {
  std::error_code ignored;
  return fs::weakly_canonical(path, ignored);
}

// What a study says there should be: a row of its table, and the runs of it that are not there.
struct Planned {
  std::string pair, student, teacher, label, method;
  std::vector<ResultRun> missing;
  std::vector<fs::path> there;  // canonical
};

class Collector {
 public:
  explicit Collector(std::vector<fs::path> folders) : folders_(std::move(folders)) {}

  Results collect() {
    check(!folders_.empty(), Fault::usage, "no folder of runs is named");
    for (const fs::path& folder : folders_) {
      std::error_code ignored;
      check(fs::is_directory(folder, ignored), Fault::input, folder.string(),
            ": there is no such folder, expected a study's or one with runs");
      const size_t before = runs_.size() + planned_.size() + published_.size() + again_;
      const size_t notes = results_.notes.size();
      root_ = folder;
      search(folder);
      if (runs_.size() + planned_.size() + published_.size() + again_ == before &&
          is_present(folder / "report.json"))
        read_published(folder / "report.json");
      check(runs_.size() + planned_.size() + published_.size() + again_ > before ||
                results_.notes.size() > notes,
            Fault::input, folder.string(), ": holds no runs, expected a study's folder or one with runs");
      if (titles_.empty() || !titled_) add_title(name_of(folder));
      titled_ = false;
    }
    name_results();
    find_teachers();
    leave_teachers_out();
    results_.pairs = group_runs(runs_);
    for (ResultPair& pair : published_) results_.pairs.push_back(std::move(pair));
    add_planned();
    check(!results_.pairs.empty(), Fault::input, folders_.front().string(),
          ": holds no runs that can be read", results_.notes.empty() ? "" : ": " + results_.notes.front());
    for (ResultPair& pair : results_.pairs) {
      describe_teacher(pair);
      const auto classes = published_classes_.find(pair.name);
      if (classes != published_classes_.end()) pair.classes = classes->second;
      fill_missing_seeds(pair);
    }
    if (!unbound_.empty())
      note(text(unbound_.size(), unbound_.size() == 1 ? " run is" : " runs are", " unbound: made by 0.1.0"));
    results_.published =
        planned_.empty() && std::all_of(runs_.begin(), runs_.end(),
                                        [](const FoundRun& found) { return found.run.folder.empty(); });
    return std::move(results_);
  }

 private:
  static std::string name_of(const fs::path& folder) {
    const std::string name = folder.lexically_normal().filename().string();
    if (!name.empty() && name != "." && name != "..") return name;
    const fs::path normal = real_path(folder);
    return normal.filename().string();
  }

  void add_title(const std::string& title) {
    titled_ = true;
    if (std::find(titles_.begin(), titles_.end(), title) == titles_.end()) titles_.push_back(title);
  }

  void name_results() {
    for (const std::string& title : titles_) results_.title += (results_.title.empty() ? "" : " + ") + title;
  }

  void search(const fs::path& folder) {
    if (from_results(folder)) return;
    std::error_code ignored;
    if (RunFolder::is_run(folder)) {
      add_run(folder, "", "", size_t(-1));
      return;
    }
    std::vector<fs::path> below;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) below.push_back(entry.path());
    }
    std::sort(below.begin(), below.end());
    for (const fs::path& one : below) search(one);
  }

  std::optional<FoundRun> read_run(const fs::path& folder) {
    try {
      FoundRun found;
      RecordedRun recorded = read_recorded_run(folder);
      for (const std::string& line : recorded.notes) note(line);
      if (!recorded.bound) unbound_.insert(real_path(folder));
      found.settings = placed(std::move(recorded.settings), folder);
      found.run.folder = folder;
      found.run.seed = found.settings.seed;
      found.run.status = "running";
      if (recorded.summary) {
        found.run.summary = *recorded.summary;
        found.run.status = recorded.summary->status;
      }
      found.run.metrics = std::move(recorded.metrics);
      found.data_hash = data_hash_of(recorded, folder);
      return found;
    } catch (const Error& error) {
      note(error.what());
      return std::nullopt;
    }
  }

  // False if it is there already, named twice, or cannot be read.
  bool add_run(const fs::path& folder, const std::string& pair, const std::string& label, size_t order) {
    if (!RunFolder::is_run(folder)) return false;
    if (!seen_.insert(real_path(folder)).second) {
      ++again_;
      return true;
    }
    std::optional<FoundRun> found = read_run(folder);
    if (!found) return false;
    found->pair = pair;
    found->label = label;
    found->order = order;
    roots_.push_back(root_);
    runs_.push_back(std::move(*found));
    return true;
  }

  // A study's own list of what there should be. False if there is none that can be read.
  bool from_results(const fs::path& folder) {
    const fs::path file = folder / "results.json";
    if (!is_present(file)) return false;
    const std::string content = read_text_file(file, 1 << 28);
    try {
      const auto whole = parse_json<nlohmann::ordered_json>(content, file.string());
      check(whole.is_object(), Fault::input, file.string(), ": is no JSON object");
      check_seal(whole, file);
    } catch (const Error& error) {  // the runs themselves say what they are
      note(text(error.what(), "; the study's own names are not used (compare writes it anew)"));
      return false;
    }
    const Json json = Json::parse(content);
    // Of an older program without pairs: the runs themselves say more.
    if (!json.contains("pairs")) return false;
    try {
      if (folder == root_ && json.contains("title")) add_title(json.at("title").get<std::string>());
      for (const Json& entry : json.at("pairs")) read_pair(folder, entry);
    } catch (const Json::exception& error) {
      fail(Fault::input, file.string(), ": is no study's results: ", error.what());
    }
    return true;
  }

  void read_pair(const fs::path& folder, const Json& entry) {
    const std::string pair = entry.at("name").get<std::string>();
    const Json& teacher = entry.at("teacher");
    if (teacher.contains("folder")) {
      const fs::path place = folder / teacher.at("folder").get<std::string>();
      if (RunFolder::is_run(place)) teachers_.insert(real_path(place));
    }
    for (const Json& row : entry.at("rows")) {
      Planned planned{.pair = pair,
                      .student = entry.at("student").get<std::string>(),
                      .teacher = teacher.at("model").get<std::string>(),
                      .label = row.at("label").get<std::string>(),
                      .method = row.value("method", ""),
                      .missing = {},
                      .there = {}};
      for (const Json& run : row.at("runs")) {
        const fs::path place = (folder / run.at("folder").get<std::string>()).lexically_normal();
        if (add_run(place, pair, planned.label, order_)) {
          planned.there.push_back(real_path(place));
          if (run.at("status") == "failed") problems_[real_path(place)] = run.value("problem", "");
          continue;
        }
        if (run.at("status") == "left out") continue;  // by choice
        ResultRun missing;
        missing.seed = run.at("seed").get<uint64_t>();
        missing.problem = run.value("problem", "");
        if (run.at("status") == "failed") missing.status = "failed";
        planned.missing.push_back(std::move(missing));
      }
      ++order_;
      planned_.push_back(std::move(planned));
    }
  }

  void read_published(const fs::path& file) {
    PublishedReport report = read_published_report(file);
    add_title(report.title);
    for (ResultPair& pair : report.pairs) published_.push_back(std::move(pair));
    for (FoundRun& run : report.runs) {
      run.order = order_++;
      roots_.push_back(root_);
      runs_.push_back(std::move(run));
    }
    published_teachers_.merge(report.teachers);
    // Of other runs' classes nothing is known.
    if (folders_.size() == 1) published_classes_ = report.classes;
    for (const std::string& line : report.missing) note(line);
  }

  // Where the weights lie that a run names: as it named them, or in its folder, if that was moved.
  static fs::path located(const std::string& spec, const fs::path& root) {
    const fs::path given = weights_spec(spec).path;
    if (given.empty()) return {};
    if (is_present(given)) return given;
    for (const fs::path& tail : {given.filename(), given.parent_path().filename() / given.filename()}) {
      if (!tail.empty() && is_present(root / tail)) return root / tail;
    }
    return {};
  }

  // Of weights that lie somewhere: their hash, and the network, read once.
  struct TeacherFile {
    std::string hash, network;
  };
  const TeacherFile& teacher_file(const std::string& spec) {
    const auto [at, is_new] = teacher_files_.try_emplace(spec);
    if (!is_new) return at->second;
    try {
      const Weights weights = read_weights(spec);
      at->second = {weights_hash(weights.file), weights.architecture};
    } catch (const Error& error) {
      note(error.what());
    }
    return at->second;
  }

  void find_teachers() {
    for (size_t i = 0; i < runs_.size(); ++i) {
      FoundRun& found = runs_[i];
      // Of a published run its report says it.
      if (!found.settings.method.method().reads.teacher || found.run.folder.empty()) continue;
      const std::string& spec = found.settings.teacher;
      const fs::path place = located(spec, roots_[i]);
      found.teacher_hash = found.run.summary.teacher_hash;
      if (place.empty()) continue;
      const std::string here = place.string() + (spec.ends_with(":best") ? ":best" : "");
      const TeacherFile& file = teacher_file(here);
      // What lies there now may have been trained anew since.
      if (found.teacher_hash.empty()) found.teacher_hash = file.hash;
      if (found.teacher_hash == file.hash)
        found.teacher_weights = here;
      else if (!file.hash.empty())
        note(not_the_teacher(here, file.hash, found.run.folder.string(), found.teacher_hash));
      if (found.settings.teacher_model.empty()) found.settings.teacher_model = file.network;
      teachers_.insert(real_path(place));
    }
  }

  // Runs that are there to teach others are no rows, unless there is nothing else.
  void leave_teachers_out() {
    std::set<std::string> hashes;
    for (const FoundRun& found : runs_) {
      if (!found.teacher_hash.empty()) hashes.insert(found.teacher_hash);
    }
    std::vector<FoundRun> students;
    for (const FoundRun& found : runs_) {
      const fs::path place = real_path(found.run.folder);
      const std::string& hash = found.run.summary.weights_hash;
      const bool teaches = teachers_.contains(place) || (!hash.empty() && hashes.contains(hash)) ||
                           place.filename() == "teacher" || place.parent_path().filename() == "teachers";
      if (teaches && !found.settings.method.method().reads.teacher && found.label.empty()) {
        teaching_.push_back(found);
        continue;
      }
      students.push_back(found);
    }
    if (!students.empty() || !planned_.empty()) runs_ = std::move(students);
    for (FoundRun& found : runs_) {
      const auto problem = problems_.find(real_path(found.run.folder));
      if (problem == problems_.end() || found.run.finished()) continue;  // it was finished since
      found.run.status = "failed";
      found.run.problem = problem->second;
    }
  }

  // What a study wants and nobody began: in the row of its label, or in one of its own.
  void add_planned() {
    for (const Planned& planned : planned_) {
      const auto holds = [&](const ResultRow& row) {
        const auto is_there = [&](const ResultRun& run) {
          const fs::path place = real_path(run.folder);
          return std::find(planned.there.begin(), planned.there.end(), place) != planned.there.end();
        };
        return std::any_of(row.runs.begin(), row.runs.end(), is_there) ||
               std::any_of(row.extra.begin(), row.extra.end(), is_there);
      };
      ResultPair* pair = nullptr;
      ResultRow* row = nullptr;
      for (ResultPair& one : results_.pairs) {
        for (ResultRow& other : one.rows) {
          if (holds(other) && (!row || one.name == planned.pair)) pair = &one, row = &other;
        }
      }
      if (planned.missing.empty() && row) continue;
      for (ResultPair& one : results_.pairs) {
        if (!row && one.name == planned.pair) pair = &one;
      }
      if (!pair) {
        results_.pairs.push_back({.name = planned.pair,
                                  .teacher = planned.teacher,
                                  .student = planned.student,
                                  .data = {},
                                  .data_hash = {}});
        pair = &results_.pairs.back();
      }
      if (!row) {
        pair->rows.push_back({.label = planned.label, .method = planned.method, .settings = {}});
        row = &pair->rows.back();
      }
      row->runs.insert(row->runs.end(), planned.missing.begin(), planned.missing.end());
      settle(*row);
    }
    std::erase_if(results_.pairs, [](const ResultPair& pair) { return pair.rows.empty(); });
  }

  // The teacher's own results, where its run is there.
  void describe_teacher(ResultPair& pair) {
    const auto published = published_teachers_.find(pair.teacher_hash);
    if (published != published_teachers_.end()) pair.teacher_summary = published->second;
    if (pair.teacher_weights.empty()) return;
    const fs::path place = weights_spec(pair.teacher_weights).path;
    if (!RunFolder::is_run(place)) return;
    if (const std::optional<FoundRun> run = read_run(place)) {
      pair.teacher = run->settings.model;
      if (!run->run.summary.status.empty()) pair.teacher_summary = run->run.summary;
    }
  }

  void note(const std::string& line) {
    if (std::find(results_.notes.begin(), results_.notes.end(), line) == results_.notes.end())
      results_.notes.push_back(line);
  }

  const std::vector<fs::path> folders_;
  fs::path root_;
  Results results_;
  std::vector<std::string> titles_;
  bool titled_ = false;
  std::vector<FoundRun> runs_, teaching_;
  std::vector<fs::path> roots_;  // by run: the folder that was named
  std::set<fs::path> seen_, teachers_;
  std::vector<Planned> planned_;
  std::vector<ResultPair> published_;
  std::map<std::string, Summary> published_teachers_;  // by the hash of their weights
  std::map<std::string, PublishedClasses> published_classes_;
  std::map<fs::path, std::string> problems_;
  std::map<std::string, TeacherFile> teacher_files_;
  size_t order_ = 0, again_ = 0;
  std::set<fs::path> unbound_;  // canonical: a teacher is read for its row too
};

}  // namespace

Results collect_results(const std::vector<fs::path>& folders) {
  return Collector(folders).collect();
}

}  // namespace retort
