#include "distill/study/check.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "distill/run/run_folder.h"
#include "distill/run/run_settings.h"
#include "distill/run/sealed.h"
#include "distill/study/check_run.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/remedies.h"
#include "distill/study/report_file.h"
#include "distill/study/runs.h"
#include "distill/study/seed_runs.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/file_kind.h"
#include "engine/infer/format.h"
#include "engine/infer/retort.h"
#include "layers/formats/pytorch_file.h"
#include "models/export/onnx_model.h"
#include "models/weights.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Status = CheckedFile::Status;

// What a report keeps of checkpoints: each entry carries its own hash.
bool check_kept(const fs::path& file) {
  using Json = nlohmann::json;
  const Json json = read_json(file);  // with its keys in the order they were hashed in
  check(json.is_object() && json.contains("entries") && json.at("entries").is_object(), Fault::input,
        file.string(), ": is no report's cache");
  for (const auto& [key, entry] : json.at("entries").items()) {
    const bool whole =
        entry.is_object() && entry.contains("value") && entry.contains("hash") &&
        entry.at("hash") ==
            hash_of_entry(key, entry.at("value").dump(-1, ' ', false, Json::error_handler_t::replace));
    check(whole, Fault::input, file.string(), ": the entry of ", key, " has another hash");
  }
  return true;
}

// Folders

bool is_study(const fs::path& folder) {
  return is_present(folder / "results.json") || is_present(folder / "study.lock");
}

// The study that a run lies in, with its results; empty if there is none.
fs::path study_above(const fs::path& run) {
  std::error_code ignored;
  fs::path folder = run;
  for (int level = 0; level < 5; ++level) {
    folder = folder.has_filename() && folder.has_parent_path() ? folder.parent_path() : fs::path();
    if (folder.empty()) return {};
    if (is_study(folder)) return folder;
  }
  return {};
}

// The folders in and below `folder` that hold a run, or what is left of one, in order; links are not
// followed.
void find_runs(const fs::path& folder, int depth, std::vector<fs::path>& runs,
               std::vector<fs::path>& others) {
  constexpr int deepest = 8;
  if (looks_like_run(folder)) {
    runs.push_back(folder);
    return;
  }
  others.push_back(folder);
  if (depth == deepest) return;
  std::vector<fs::path> below;
  std::error_code error;
  for (fs::directory_iterator at(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_directory(ignored) && !at->is_symlink(ignored)) below.push_back(at->path());
  }
  std::sort(below.begin(), below.end());
  for (const fs::path& one : below) find_runs(one, depth + 1, runs, others);
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_normal().lexically_relative(folder.lexically_normal());
  return !relative.empty() && *relative.begin() != "..";
}

class FolderCheck {
 public:
  explicit FolderCheck(const fs::path& root) : root_(root) { find_runs(root, 0, runs_, folders_); }

  CheckResult result() {
    const std::string kind = kind_of_root();
    for (const fs::path& folder : folders_)
      if (is_study(folder)) check_study(folder);
    for (const fs::path& run : runs_) check_one_run(run), check_beside(run);
    for (const fs::path& folder : folders_) check_beside(folder);
    check(!files_.empty(), Fault::input, root_.string(),
          ": holds neither a run nor a study; for the cache folder give --cache");
    return {kind, std::move(files_)};
  }

 private:
  std::string kind_of_root() const {
    if (looks_like_run(root_)) return "run";
    if (holds_seeds(root_)) return "seeds";
    if (is_study(root_)) return "study";
    return runs_.empty() && is_present(root_ / "report.json") ? "report" : "runs";
  }

  // Of the runs that are there.
  std::vector<fs::path> runs_in(const fs::path& folder) const {
    std::vector<fs::path> all;
    for (const fs::path& run : runs_)
      if (lies_in(run, folder)) all.push_back(run);
    return all;
  }

  void check_study(const fs::path& folder);
  void check_planned(const fs::path& folder, const nlohmann::ordered_json& json, const std::string& remedy);
  void check_one_run(const fs::path& run);
  void check_seeds(const fs::path& folder);
  void check_beside(const fs::path& folder);

  const fs::path root_;
  std::vector<fs::path> runs_, folders_;                      // folders_: that hold no run themselves
  std::map<fs::path, std::optional<TypedCommand>> commands_;  // by study
  std::vector<CheckedFile> files_;
};

// Its list, and that each run is there that stands in it.
void FolderCheck::check_study(const fs::path& folder) {
  const std::optional<TypedCommand> command = command_of_study(runs_in(folder));
  const std::string remedy = command ? typed_again(*command, folder) : "";
  const fs::path results = folder / "results.json";
  nlohmann::ordered_json json;
  files_.push_back(checked(results, remedy, [&] {
    json = read_json(results);
    return check_seal(json, results);
  }));
  if (files_.back().status == Status::damaged || files_.back().status == Status::missing) return;
  try {
    check_planned(folder, json, remedy);
  } catch (const nlohmann::json::exception& error) {
    files_.push_back({results, Status::damaged, text("is no study's results: ", error.what()), remedy});
  }
}

void FolderCheck::check_planned(const fs::path& folder, const nlohmann::ordered_json& json,
                                const std::string& remedy) {
  std::set<fs::path> known;
  const auto look = [&](const nlohmann::ordered_json& run) {
    const fs::path place = (folder / run.at("folder").get<std::string>()).lexically_normal();
    const std::string status = run.at("status").get<std::string>();
    if (status == "left out" || !known.insert(place).second) return;
    if (looks_like_run(place)) {
      // Behind a link, where nobody looked.
      const auto same = [&](const fs::path& one) { return one.lexically_normal() == place; };
      if (std::none_of(runs_.begin(), runs_.end(), same)) runs_.push_back(place);
      return;
    }
    const std::string problem = run.value("problem", "");
    const std::string reason = status == "missing"
                                   ? "is not run yet"
                                   : "is not there; results.json says it " +
                                         std::string(status == "failed" ? "failed" : "was " + status);
    files_.push_back({place, Status::missing, reason + (problem.empty() ? "" : ": " + problem), remedy});
  };
  for (const auto& pair : json.at("pairs")) {
    if (pair.at("teacher").contains("folder")) look(pair.at("teacher"));
    for (const auto& row : pair.at("rows"))
      for (const auto& run : row.at("runs")) look(run);
  }
}

void FolderCheck::check_one_run(const fs::path& run) {
  const fs::path study = study_above(run);
  const auto [at, is_new] = commands_.try_emplace(study);
  if (is_new && !study.empty()) {
    std::vector<fs::path> runs, others;
    find_runs(study, 0, runs, others);  // also those beside a run that was named alone
    at->second = command_of_study(runs);
  }
  for (CheckedFile& file : check_run(run, run_again(run, at->second, study)))
    files_.push_back(std::move(file));
}

// Where a run's settings cannot be read, that is said beside them.
bool is_one_of(const RecordedSeeds& seeds, const fs::path& run, uint64_t seed) {
  try {
    const RunSettings settings = read_run_settings(run);
    return settings.seed == seed && settings.model == seeds.settings.model &&
           settings.method.method().name == seeds.settings.method.method().name;
  } catch (const Error&) {
    return true;
  }
}

// What it says, and that each run is there.
void FolderCheck::check_seeds(const fs::path& folder) {
  const fs::path file = seeds_file(folder);
  std::vector<CheckedFile> missing;
  files_.push_back(checked(file, remove_command(file), [&] {
    const RecordedSeeds said = read_recorded_seeds(folder);
    for (uint64_t seed = said.settings.seed; seed < said.settings.seed + uint64_t(said.seeds); ++seed) {
      const fs::path run = folder / text("seed-", seed);
      if (!looks_like_run(run))
        missing.push_back(
            {run, Status::missing, "is not run yet", resume_command(said.settings.command, folder)});
      check(is_one_of(said, run, seed), Fault::input, file.string(), ": is not of ", run.filename().string(),
            ", which has other settings");
    }
    return said.bound;
  }));
  files_.insert(files_.end(), missing.begin(), missing.end());
}

void FolderCheck::check_beside(const fs::path& folder) {
  if (holds_seeds(folder)) check_seeds(folder);
  const fs::path report = folder / "report.json", kept = folder / "report-cache.json";
  if (is_present(report))
    files_.push_back(checked(report, runs_in(folder).empty() ? "" : report_command(folder),
                             [&] { return read_published_report(report).bound; }));
  if (is_present(kept))
    files_.push_back(checked(kept, remove_command(kept), [&] { return check_kept(kept); }));
}

// One file

CheckResult check_file(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  const FileKind kind = kind_of_file(bytes);
  if (bytes.size() >= sizeof infer::magic &&
      std::memcmp(bytes.data(), infer::magic, sizeof infer::magic) == 0) {
    return {"network", {checked(path, "", [&] {
              retort_info info{};
              const retort_status status = retort_inspect(bytes.data(), bytes.size(), &info);
              check(status == RETORT_OK, Fault::input, path.string(), ": ", retort_status_text(status));
              return true;
            })}};
  }
  if (kind == FileKind::onnx) {
    const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {"network", {checked(path, "", [&] { return parse_onnx(content, path.string()).has_hash; })}};
  }
  const bool ours =
      path.extension() == ".safetensors" || kind == FileKind::safetensors || kind == FileKind::pickle;
  check(ours || looks_like_pytorch(bytes), Fault::input, path.string(),
        ": is neither weights (.safetensors, .pth, .pkl) nor a network (.retort, .onnx)");
  return {"weights", {checked(path, "", [&] { return open_weights(path).file.verified; })}};
}

}  // namespace

CheckResult check_path(const fs::path& path) {
  std::error_code ignored;
  check(is_present(path), Fault::input, path.string(), ": no such file or folder");
  return fs::is_directory(path, ignored) ? FolderCheck(path).result() : check_file(path);
}

}  // namespace retort
