// Starting and resuming runs in their folders.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/image_set.h"
#include "distill/run/progress.h"
#include "distill/run/run_record.h"
#include "distill/run/stop_signal.h"
#include "distill/settings/settings.h"
#include "engine/distributed/communicator.h"

namespace retort {

// What the runs of one process share.
class Session {
 public:
  // Both must outlive it. command_line: for env.json.
  Session(Progress& shown, const StopSignal& signal, std::vector<std::string> command_line)
      : progress(shown), stop(signal), arguments(std::move(command_line)) {}
  // With another progress, and the data that `shared` holds now: for a run beside others, in its own thread.
  Session(Progress& shown, const Session& shared)
      : progress(shown),
        stop(shared.stop),
        arguments(shared.arguments),
        spec_(shared.spec_),
        options_(shared.options_),
        data_(shared.data_),
        data_hash_(shared.data_hash_) {}

  // The settings' data set, read or drawn unless it is the one that was asked for last.
  const DataSet& data(const RunSettings& settings);
  // Its hash, as runs record it: over all bytes of images in memory, so asked once for a data set.
  const std::string& data_hash(const RunSettings& settings);

  Progress& progress;
  const StopSignal& stop;
  const std::vector<std::string> arguments;
  bool profile = false;  // see train()
  Communicator* world = nullptr;  // the other processes of the run; null: there are none

 private:
  std::string spec_;     // of data_
  DataOptions options_;  // that decided it
  std::shared_ptr<const DataSet> data_;
  std::string data_hash_;  // empty until asked for
};

// What a resumed run may do otherwise without having trained other weights so far.
struct ResumeOptions {
  std::optional<int> threads = {}, workers = {};
  std::optional<int> epochs = {};                      // more than it has; milestones stay
  std::optional<std::string> data = {}, teacher = {};  // where they lie now
};

// What of it changes no weights.
void apply(const ResumeOptions& options, RunSettings& settings);
// How long the run at `path` shall be, as it is or longer. Fault::usage where it would be shorter, or where
// what it has trained so far is not what a run of that length has.
int epochs_of(const ResumeOptions& options, const RunSettings& settings, const std::filesystem::path& path);

// Resolves the settings and looks at all they name, data, weights, whether the method fits the classes,
// before anything is made or deleted. Returns what resolve() said was scaled.
std::vector<std::string> prepare_run(RunSettings& settings, Session& session);

// A new run. The settings are resolved, and what was scaled is noted. A run that fails before it began leaves
// no folder. force: replaces a run that is there. Faults are those of resolve(), open_dataset(), RunFolder
// and train().
Summary start_run(RunSettings settings, const std::filesystem::path& folder, bool force, Session& session);

// Goes on with the run in the folder, with the settings in it. A finished one is not touched; its summary is
// returned.
Summary resume_run(const std::filesystem::path& folder, const ResumeOptions& options, Session& session);

// Fault::usage if the folder holds a run of other settings, apart from those that do not change the result,
// or one on other images, from another teacher or other starting weights: by their hashes, wherever they lie.
void check_same_run(const RunSettings& settings, const std::filesystem::path& folder, Session& session);
// Of it what needs neither images nor weights: the settings.
void check_same_settings(const RunSettings& settings, const std::filesystem::path& folder);

// The run of these settings, whatever there is of it: a finished or diverged one's summary, an unfinished one
// resumed, none started. Fault::usage if the folder holds a run of other settings.
Summary complete_run(const RunSettings& settings, const std::filesystem::path& folder, Session& session);

}  // namespace retort
