#include "distill/study/recorded_run.h"

#include <algorithm>
#include <utility>

#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/places.h"
#include "distill/study/study.h"
#include "distill/train/checkpoint.h"
#include "engine/base/check.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

std::string result_text(const std::optional<EpochResult>& result) {
  if (!result) return "no epoch";
  return text(result->values[0].metric.word, " ", result->first(), " after epoch ", result->epoch);
}

std::string list_text(const std::vector<int>& epochs) {
  constexpr size_t shown = 8;
  std::string all;
  for (size_t i = 0; i < std::min(epochs.size(), shown); ++i) all += text(i ? ", " : "", epochs[i]);
  return text(epochs.size() == 1 ? "epoch " : "epochs ", all,
              epochs.size() > shown ? text(" and ", epochs.size() - shown, " more") : std::string());
}

class Reading {
 public:
  explicit Reading(const fs::path& folder) : folder_(folder) {}

  RecordedRun run() {
    bool sealed = false;
    run_.settings = read_run_settings(folder_, &sealed);
    read_checkpoint();
    run_.bound = sealed;
    check(sealed || !(checkpoint_ && checkpoint_->binding.sealed), Fault::input, config().string(),
          ": is damaged: its last line, the hash of the others, is missing");
    if (checkpoint_) bind();
    read_results();
    read_epochs();
    return std::move(run_);
  }

 private:
  fs::path config() const { return folder_ / "config.toml"; }

  // The last one, or, if it is damaged or lost, the one before.
  void read_checkpoint() {
    const fs::path last = RunFolder::last_of(folder_), previous = RunFolder::previous_of(folder_);
    run_.began = RunFolder::has_checkpoint(folder_);
    if (!run_.began) return;
    try {
      checkpoint_ = read_checkpoint_record(last);
      checkpoint_file_ = last;
    } catch (const Error& error) {
      if (error.fault() != Fault::input || !is_present(previous)) throw;
      run_.notes.push_back(text(error.what(), "; looking at the checkpoint before it"));
      checkpoint_ = read_checkpoint_record(previous);
      checkpoint_file_ = previous;
      run_.from_previous = true;
    }
  }

  void bind() {
    check_of_run(folder_, checkpoint_file_, *checkpoint_);
    const Binding& binding = checkpoint_->binding;
    run_.data_hash = binding.data;
    run_.teacher_hash = binding.teacher;
    run_.convolutions = binding.convolutions;
  }

  void read_results() {
    const fs::path file = folder_ / "summary.json";
    if (!is_present(file)) {
      if (checkpoint_) run_.summary = from_checkpoint();
      run_.summary_made = bool(checkpoint_);
      return;
    }
    try {
      run_.summary = read_summary(file);
    } catch (const Error& error) {
      if (error.fault() != Fault::input || !checkpoint_) throw;
      run_.notes.push_back(text(error.what(), "; its results are those of the checkpoint"));
      run_.summary = from_checkpoint();
      run_.summary_made = true;
      return;
    }
    Summary& summary = *run_.summary;
    check(summary.sealed || !(checkpoint_ && checkpoint_->binding.sealed), Fault::input, file.string(),
          ": is damaged: its hash is missing");
    check(run_.bound || !summary.sealed, Fault::input, config().string(),
          ": is damaged: its last line, the hash of the others, is missing");
    check(summary.model == run_.settings.model && summary.seed == run_.settings.seed &&
              summary.method == run_.settings.method.method().name,
          Fault::input, file.string(), ": is of another run: ", summary.model, ", ", summary.method,
          ", seed ", summary.seed);
    // The run was to go on for more epochs, and was killed before it did.
    if (summary.status == "finished" && summary.epochs < run_.settings.epochs) {
      summary.status = "stopped";
      summary.epochs = run_.settings.epochs;
    }
    if (!checkpoint_) {
      if (summary.epochs_done > 0)
        run_.notes.push_back(text(RunFolder::last_of(folder_).string(),
                                  ": is not there; what summary.json says is held to nothing"));
      return;
    }
    const Counters& counters = checkpoint_->counters;
    if (summary.status == "running") {  // a kill between the two; the checkpoint comes first
      summary.last = counters.last;
      summary.best = counters.best;
      summary.epochs_done = counters.last ? counters.last->epoch : 0;
      return;
    }
    if (summary.status == "diverged") return;  // in an epoch of which there is no checkpoint
    const std::string& hash = checkpoint_->binding.weights;
    // It tells of a checkpoint that is lost: what it says is trained again.
    if (run_.from_previous && hash != summary.weights_hash) {
      summary = from_checkpoint();
      run_.summary_made = true;
      return;
    }
    check(is_same(summary.last, counters.last) && is_same(summary.best, counters.best), Fault::input,
          file.string(), ": says ", result_text(summary.last), " and best ", result_text(summary.best),
          ", the checkpoint ", result_text(counters.last), " and ", result_text(counters.best),
          "; delete it, and what it said is taken from the checkpoint");
    check(hash.empty() || summary.weights_hash.empty() || hash == summary.weights_hash, Fault::input,
          file.string(), ": its weights_hash is ", summary.weights_hash, ", the checkpoint's ", hash);
    check(summary.status != "finished" || counters.epoch > summary.epochs, Fault::input, file.string(),
          ": says that the run is finished, the checkpoint stands in epoch ", counters.epoch, " of ",
          summary.epochs);
  }

  Summary from_checkpoint() const {
    const Counters& counters = checkpoint_->counters;
    Summary summary = summary_of(run_.settings, counters);
    summary.status = counters.epoch > run_.settings.epochs ? "finished" : "stopped";
    summary.weights_hash = checkpoint_->binding.weights;
    summary.teacher_hash = checkpoint_->binding.teacher;
    summary.metrics = checkpoint_->binding.metrics.metrics;
    return summary;
  }

  void read_epochs() {
    const fs::path file = folder_ / "metrics.csv";
    const int last = checkpoint_ && checkpoint_->counters.last ? checkpoint_->counters.last->epoch : 0;
    const bool vouched = checkpoint_ && checkpoint_->binding.sealed;
    try {
      if (is_present(file)) run_.metrics = read_metrics(file);
    } catch (const Error& error) {
      if (error.fault() != Fault::input || !vouched) throw;
      run_.notes.push_back(error.what());
      run_.metrics = {};
    }
    if (!vouched) {
      std::vector<int> missing;
      for (int epoch = 1, row = 0; epoch <= last; ++epoch) {
        const auto& rows = run_.metrics.rows;
        while (size_t(row) < rows.size() && rows[size_t(row)].epoch < epoch) ++row;
        if (size_t(row) >= rows.size() || rows[size_t(row)].epoch != epoch) missing.push_back(epoch);
      }
      if (!missing.empty()) run_.notes.push_back(text(file.string(), ": lacks ", list_text(missing)));
      return;
    }
    const std::vector<int> differ = epochs_that_differ(run_.metrics, checkpoint_->binding.metrics, last);
    if (!differ.empty())
      run_.notes.push_back(text(file.string(), ": ", list_text(differ),
                                " missing or not as trained; the checkpoint's own record is used"));
    run_.metrics_made = !differ.empty();
    run_.metrics = checkpoint_->binding.metrics;
  }

  const fs::path folder_;
  RecordedRun run_;
  std::optional<CheckpointRecord> checkpoint_;
  fs::path checkpoint_file_;
};

}  // namespace

fs::path seeds_file(const fs::path& folder) {
  return folder / "seeds.toml";
}

RecordedSeeds read_recorded_seeds(const fs::path& folder) {
  const fs::path file = seeds_file(folder);
  RecordedSeeds found;
  try {
    found.bound = check_settings_seal(file);
    const TomlValue table = read_toml(file);
    const TomlValue* count = table.find("seeds");
    check(count && count->kind == TomlValue::integer, Fault::input, file.string(), ": has no seeds = N");
    found.seeds = seeds_of(file.string() + ": seeds", count->as_integer);
    set_from_table(found.settings, table, file.string(), {"seeds"});
  } catch (const Error& error) {
    fail(Fault::input, error.what());
  }
  return found;
}

std::string data_hash_of(const RecordedRun& run, const std::filesystem::path& folder) {
  return run.data_hash.empty() ? recorded_data_hash(folder / "env.json") : run.data_hash;
}

std::string not_the_teacher(const std::string& teacher, const std::string& own, const std::string& student,
                            const std::string& known) {
  return text(teacher, ": is not the teacher of ", student, ", which learned from weights of hash ", known,
              ", these have ", own);
}

RecordedRun read_recorded_run(const fs::path& folder) {
  return Reading(folder).run();
}

}  // namespace retort
