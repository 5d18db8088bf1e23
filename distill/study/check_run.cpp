#include "distill/study/check_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "distill/run/checkpoint_record.h"
#include "distill/run/metrics_csv.h"
#include "distill/run/run_folder.h"
#include "distill/run/run_record.h"
#include "distill/run/run_settings.h"
#include "distill/run/sealed.h"
#include "distill/study/check_cache.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/remedies.h"
#include "distill/study/resume_point.h"
#include "distill/train/checkpoint.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/cpu/conv_tuning.h"
#include "engine/device.h"
#include "models/weights.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Status = CheckedFile::Status;

bool is_wrong(const CheckedFile& file) {
  return file.status == Status::damaged || file.status == Status::missing;
}

// Each file by itself first; then all of them together, as a command reads them that goes on with the run.
// What helps is said last, when it is known what there is to go on from.
class RunCheck {
 public:
  RunCheck(const fs::path& folder, std::string again) : folder_(folder), again_(std::move(again)) {}

  std::vector<CheckedFile> files() {
    for (const fs::path& place : in_the_way_)
      files_.push_back(
          {place, Status::damaged, "is not what a run has there, and no run can go on with it", ""});
    check_config();
    check_checkpoints();
    check_summary();
    check_metrics();
    check_environment();
    check_convolutions();
    check_plans();
    if (holds(config_) && (holds(last_) || !RunFolder::has_checkpoint(folder_))) check_together();
    for (CheckedFile& file : files_)
      if (is_wrong(file)) file.remedy = remedy_of(file);
    return std::move(files_);
  }

 private:
  void look(const fs::path& file, const std::function<bool()>& read) {
    files_.push_back(checked(file, "", read));
  }
  // Whether a file was looked at, and nothing is wrong with it.
  bool holds(const fs::path& path) const {
    return std::any_of(files_.begin(), files_.end(),
                       [&](const CheckedFile& file) { return file.path == path && !is_wrong(file); });
  }
  bool is_known(const fs::path& path) const {
    return std::any_of(files_.begin(), files_.end(),
                       [&](const CheckedFile& file) { return file.path == path; });
  }
  void blame(const fs::path& path, const std::string& reason) {
    for (CheckedFile& file : files_) {
      if (file.path != path) continue;
      if (!is_wrong(file)) file.status = Status::damaged, file.reason = reason;
      return;
    }
    files_.push_back({path, Status::damaged, reason, ""});
  }
  void blame(const std::string& message);

  void check_config();
  void check_checkpoints();
  bool check_checkpoint(const fs::path& file);
  void check_belonging();
  void check_summary();
  void check_metrics();
  void check_environment();
  void check_convolutions();
  void check_plans();
  void check_together();
  void check_said(const Summary& summary, const CheckpointRecord& last);

  // The checkpoint that a resumed run goes on from; null if there is none that is sound.
  const CheckpointRecord* point() const {
    const fs::path& file = holds(last_) ? last_ : previous_;
    return holds(file) ? &records_.at(file).record : nullptr;
  }
  bool is_bound() const { return point() && point()->binding.sealed; }
  std::string remedy_of(const CheckedFile& file) const;

  const fs::path folder_;
  const std::string again_;
  const fs::path config_ = folder_ / "config.toml", summary_file_ = folder_ / "summary.json",
                 metrics_ = folder_ / "metrics.csv", environment_ = folder_ / "env.json",
                 convolutions_ = folder_ / "convolutions.txt";
  const fs::path last_ = RunFolder::last_of(folder_), previous_ = RunFolder::previous_of(folder_),
                 best_ = RunFolder::best_of(folder_);
  const std::vector<fs::path> in_the_way_ = RunFolder::in_the_way(folder_);
  RunSettings settings_;  // where config.toml holds
  std::optional<Summary> summary_;
  struct Checkpoint {
    CheckpointRecord record;
    std::string model;
  };
  std::map<fs::path, Checkpoint> records_;  // of checkpoints that can be read
  bool foreign_last_ = false,
       lost_ = false;  // the last checkpoint is another run's; there is none to go on from
  std::vector<CheckedFile> files_;
};

// To the file that a message begins with.
void RunCheck::blame(const std::string& message) {
  for (const CheckedFile& file : files_) {
    const std::string reason = reason_in(message, file.path);
    if (reason.size() < message.size()) return blame(file.path, reason);
  }
  blame(folder_, reason_in(message, folder_));
}

void RunCheck::check_config() {
  if (!is_present(config_)) {
    files_.push_back({config_, Status::missing, "is not there, though other files of a run are", ""});
    return;
  }
  look(config_, [&] {
    bool sealed = false;
    settings_ = read_run_settings(folder_, &sealed);
    return sealed;
  });
}

bool RunCheck::check_checkpoint(const fs::path& file) {
  const Weights weights = open_weights(file);
  const CheckpointRecord record = record_of(weights.file.metadata, file.string());
  const std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 1});
  const std::unique_ptr<Model> model = load_model(weights, "", *device);
  if (record.binding.sealed) {
    check(weights.file.verified, Fault::input, file.string(), ": the hashes of its tensors are missing");
    const std::string found = weights_hash(state_of(*model, *device));
    check(found == record.binding.weights, Fault::input, file.string(), ": its weights have the hash ", found,
          ", it says ", record.binding.weights);
  }
  records_[file] = {record, model->name};
  return weights.file.verified;
}

void RunCheck::check_checkpoints() {
  for (const fs::path& file : {last_, previous_, best_})
    if (is_present(file)) look(file, [&] { return check_checkpoint(file); });
  if (!holds(config_)) return;
  check_belonging();
  if (!is_present(last_)) {
    std::string why = is_present(previous_) ? "is not there, the checkpoint before it is" : "";
    try {
      if (why.empty()) resume_point(folder_);
    } catch (const Error& error) {  // of the folder, or of a file that is looked at below
      if (reason_in(error.what(), folder_) != error.what())
        why = "is not there, nor is the checkpoint before it";
    }
    if (!why.empty()) files_.push_back({last_, Status::missing, why, ""});
  }
  lost_ = !point() && (is_present(previous_) || is_present(last_) || is_known(last_));
  if (!is_present(best_) && point() && point()->counters.best)
    files_.push_back({best_, Status::missing,
                      text("is not there; the best epoch so far is ", point()->counters.best->epoch), ""});
}

// Which of them are of this run. Where not one is of these settings, it is the settings that are another
// run's.
void RunCheck::check_belonging() {
  const std::string settings = settings_hash(settings_);
  // Why one is not; empty: it is.
  const auto difference = [&](const fs::path& file) -> std::string {
    const auto& [record, model] = records_.at(file);
    if (model != settings_.model && !model.starts_with(settings_.model + "+"))
      return text("is not of this run: it is of ", model, ", the settings are of ", settings_.model);
    if (!record.binding.sealed || record.binding.settings == settings) return "";
    return text("is not of this run: it was trained with settings of hash ", record.binding.settings,
                ", config.toml has ", settings);
  };
  std::vector<fs::path> sound, own;
  for (const fs::path& file : {last_, previous_, best_}) {
    if (!holds(file)) continue;
    sound.push_back(file);
    if (difference(file).empty()) own.push_back(file);
  }
  if (own.empty() && !sound.empty())
    return blame(config_, text("is not of this run: none of its checkpoints is of these settings; ",
                               sound[0].filename().string(), " ", difference(sound[0])));
  for (const fs::path& file : sound) {
    std::string why = difference(file);
    // Whether they are of one run is said by the last one.
    if (why.empty() && !foreign_last_) {
      try {
        check_of_run(folder_, file, records_.at(file).record);
      } catch (const Error& error) {
        why = reason_in(error.what(), file);
      }
    }
    if (why.empty()) continue;
    blame(file, why);
    foreign_last_ = foreign_last_ || file == last_;
  }
}

void RunCheck::check_summary() {
  look(summary_file_, [&] {
    const Summary summary = read_summary(summary_file_);
    const Json json = read_json(summary_file_);
    check(!json.contains("metrics") || json["metrics"] == Json::parse(metrics_json(summary)), Fault::input,
          summary_file_.string(), ": its metrics are not its best and last results");
    summary_ = summary;
    return summary.sealed;
  });
}

// Those of 0.1.0 are held against the checkpoint's counters, the others against its own record, with all
// else.
void RunCheck::check_metrics() {
  const std::optional<EpochResult> last = point() ? point()->counters.last : std::nullopt;
  if (!is_present(metrics_) && !last) return;
  look(metrics_, [&] {
    const MetricsTable table = read_metrics(metrics_);
    for (const EpochMetrics& row : table.rows) {
      if (!last || row.epoch != last->epoch || is_bound()) continue;
      const Metric& first = last->values[0].metric;
      const double found = value_of(row.tested, first.name);
      check(found == last->first(), Fault::input, metrics_.string(), ": epoch ", row.epoch, " has ",
            first.column, " ", found, ", the last checkpoint ", last->first());
    }
    return is_bound();
  });
}

void RunCheck::check_environment() {
  look(environment_, [&] {
    const Json json = read_json(environment_);
    const bool sealed = check_seal(json, environment_);
    check(sealed || !is_bound(), Fault::input, environment_.string(), ": is damaged: its hash is missing");
    if (!is_bound()) return sealed;
    const auto hold = [&](const char* key, const std::string& expected) {
      const bool said = json.contains(key) && json[key].is_string();
      const std::string found = said ? json[key].get<std::string>() : std::string();
      check(found.empty() || found == expected, Fault::input, environment_.string(), ": ", key, " is ", found,
            ", the checkpoint's ", expected);
    };
    hold("data_hash", point()->binding.data);
    hold("teacher_hash", point()->binding.teacher);
    return sealed;
  });
}

std::vector<std::string> lines_of(const std::string& content) {
  std::vector<std::string> lines;
  std::istringstream in(content);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A kill behind the checkpoint may leave choices that it does not know yet.
void RunCheck::check_convolutions() {
  const std::string known =
      point() && point()->binding.convolutions ? *point()->binding.convolutions : std::string();
  if (!is_present(convolutions_) && known.empty()) return;
  look(convolutions_, [&] {
    const std::string content = read_text_file(convolutions_);
    ConvTuning().continue_with(content, convolutions_.string());
    const std::vector<std::string> all = lines_of(content), wanted = lines_of(known);
    constexpr size_t head = 3;  // that holds the digest of the others
    for (size_t i = head; i < wanted.size(); ++i)
      check(std::find(all.begin(), all.end(), wanted[i]) != all.end(), Fault::input, convolutions_.string(),
            ": is not what the checkpoint says the run computed with");
    return true;
  });
}

void RunCheck::check_plans() {
  std::error_code error;
  std::vector<fs::path> plans;
  for (fs::directory_iterator at(folder_ / "cudnn-plans", error), end; !error && at != end;
       at.increment(error))
    if (at->path().extension() == ".plan") plans.push_back(at->path());
  std::sort(plans.begin(), plans.end());
  for (const fs::path& plan : plans) {
    look(plan, [&] {
      check_plan(plan);
      return true;
    });
  }
}

void RunCheck::check_together() {
  try {
    const RecordedRun run = read_recorded_run(folder_);
    for (const std::string& note : run.notes) blame(note);
    if (summary_ && holds(summary_file_) && holds(last_)) check_said(*summary_, records_.at(last_).record);
  } catch (const Error& error) {
    if (error.fault() != Fault::input) throw;
    blame(error.what());
  }
}

// What a summary says that no other command asks for.
void RunCheck::check_said(const Summary& summary, const CheckpointRecord& last) {
  const Summary expected = summary_of(settings_, last.counters);
  const auto hold = [&](const char* key, const auto& found, const auto& wanted) {
    check(found == wanted, Fault::input, summary_file_.string(), ": ", key, " is ", found, ", expected ",
          wanted);
  };
  hold("command", summary.command, expected.command);
  hold("views", summary.views, expected.views);
  hold("best_by", summary.best_by, expected.best_by);
  if (summary.status == "finished" || summary.status == "stopped")
    hold("epochs_done", summary.epochs_done, expected.epochs_done);
  if (last.binding.sealed) hold("teacher_hash", summary.teacher_hash, last.binding.teacher);
}

std::string RunCheck::remedy_of(const CheckedFile& file) const {
  if (!holds(config_)) return again_;
  const std::string resume = resume_command(settings_.command, folder_),
                    anew = anew_command(settings_.command, folder_), removed = remove_command(file.path);
  if (file.path.extension() == ".plan") return removed;
  if (std::find(in_the_way_.begin(), in_the_way_.end(), file.path) != in_the_way_.end())
    return removed + " && " + (lost_ ? anew : resume);
  if (lost_) return anew;
  if (foreign_last_) return holds(previous_) ? remove_command(last_) + " && " + resume : anew;
  const bool is_missing = file.status == Status::missing;
  if (file.path == best_) return is_best(point()->counters) ? resume : anew;
  if (file.path == summary_file_) return is_missing ? resume : removed + " && " + resume;
  if (file.path == metrics_) return is_bound() ? resume : point() ? anew : removed + " && " + resume;
  if (file.path == convolutions_ && !(point() && point()->binding.convolutions)) return removed;
  // Of a run that has ended, nobody writes them any more.
  const bool ended = summary_ && summary_->status == "finished";
  if (ended && (file.path == convolutions_ || file.path == environment_)) return "";
  return resume;
}

}  // namespace

bool looks_like_run(const fs::path& folder) {
  if (RunFolder::is_run(folder) || RunFolder::has_checkpoint(folder)) return true;
  const auto has = [&](const char* name) { return is_present(folder / name); };
  return has("lock") && (has("summary.json") || has("metrics.csv") || has("env.json"));
}

std::vector<CheckedFile> check_run(const fs::path& folder, const std::string& again) {
  return RunCheck(folder, again).files();
}

}  // namespace retort
