#include "distill/study/seed_runs.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "distill/run/run_folder.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/study.h"
#include "distill/study/study_progress.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/descriptor.h"
#include "engine/base/text.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

using SeedRun = std::function<Summary(const RunSettings& settings, Session& session)>;

fs::path seed_folder(const fs::path& folder, uint64_t seed) {
  return folder / text("seed-", seed);
}

bool stopped(const Summary& summary) {
  return summary.status == "stopped";
}

// One after the other, until a signal stops one.
std::vector<Summary> one_by_one(const std::vector<RunSettings>& runs, Session& session, const SeedRun& run) {
  std::vector<Summary> summaries;
  for (const RunSettings& one : runs) {
    session.progress.note(text("seed ", one.seed, ", ", summaries.size() + 1, " of ", runs.size()));
    summaries.push_back(run(one, session));
    if (stopped(summaries.back())) break;
  }
  return summaries;
}

// A seed that diverges is a result, as in a study: the others run all the same.
Summary or_diverged(const fs::path& path, const std::function<Summary()>& run) {
  try {
    return run();
  } catch (const Error& error) {
    if (error.fault() != Fault::diverged || !fs::exists(path / "summary.json")) throw;
    return read_summary(path / "summary.json");
  }
}

// Several at once, each in a thread with a device of its own; on a GPU they share it, a stream and captured
// steps each. A run's numbers do not depend on what runs beside it. The first failure is thrown when all
// threads have ended; runs that have not begun by then do not.
std::vector<Summary> side_by_side(std::vector<RunSettings> runs, int parallel, Session& session,
                                  const SeedRun& run) {
  std::vector<std::string> kinds(runs.size(), runs.front().model);
  StudyProgress progress(session.progress, kinds, parallel, steady_seconds);
  std::vector<std::optional<Summary>> summaries(runs.size());
  std::mutex mutex;
  std::exception_ptr problem;
  size_t next = 0;
  bool ends = false;
  const auto work = [&] {
    std::unique_lock lock(mutex);
    while (!ends && next < runs.size()) {
      const size_t i = next++;
      lock.unlock();
      std::optional<Summary> summary;
      std::exception_ptr thrown;
      try {
        const std::unique_ptr<Progress> shown = progress.begin(i, text("seed ", runs[i].seed));
        Session own(*shown, session);
        summary = run(runs[i], own);
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      if (!problem) problem = thrown;
      if (summary) progress.end(i, *summary, "", false);
      ends = ends || thrown || (summary && stopped(*summary));
      summaries[i] = std::move(summary);
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < parallel; ++i) helpers.emplace_back(work);
    work();
  }
  if (problem) std::rethrow_exception(problem);
  std::vector<Summary> done;
  for (std::optional<Summary>& summary : summaries)
    if (summary) done.push_back(std::move(*summary));
  // What a signal stopped comes last, where it is looked for.
  std::stable_partition(done.begin(), done.end(), [](const Summary& s) { return !stopped(s); });
  return done;
}

std::vector<Summary> for_each_seed(const RunSettings& settings, int64_t seeds, int parallel, Session& session,
                                   const SeedRun& run) {
  check(parallel >= 1, Fault::usage, "parallel is ", parallel, ", expected 1 or more");
  parallel = int(std::min<int64_t>(parallel, seeds));
  std::vector<RunSettings> runs(size_t(seeds), settings);
  check(settings.seed < uint64_t{1} << 62, Fault::usage, "seed ", settings.seed,
        ": expected less than 2^62 of ", seeds, " seeds from it on");
  for (int64_t i = 0; i < seeds; ++i) {
    RunSettings& one = runs[size_t(i)];
    one.seed += uint64_t(i);
    if (parallel > 1 && one.threads == 0) one.threads = std::max(1, cpu_quota() / parallel);
  }
  return parallel == 1 ? one_by_one(runs, session, run) : side_by_side(runs, parallel, session, run);
}

// Runs that are no longer wanted: beside the new ones they would be counted as theirs.
void remove_seeds(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> old;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    uint64_t seed = 0;
    if (!name.starts_with("seed-") || !parse(std::string_view(name).substr(5), seed)) continue;
    old.push_back(at->path());
  }
  for (const fs::path& run : old) {
    if (RunFolder::is_run(run)) RunFolder(run, RunFolder::Mode::force).discard();
    fs::remove(run, error);  // notes beside the run stay, and then the folder
  }
}

// One process has a folder of seeds. What a killed one left of seeds.toml goes; where folders cannot be
// locked, it stays.
Descriptor locked(const fs::path& folder) {
  Descriptor lock(folder, O_RDONLY | O_DIRECTORY);
  const int error = lock.is_open() ? lock.try_lock(Descriptor::Lock::exclusive) : errno;
  check(error != EWOULDBLOCK, Fault::usage, folder.string(), ": another retort is running in this folder");
  if (error == 0) remove_abandoned_files(folder);
  return lock;
}

}  // namespace

std::vector<Summary> start_seeds(const RunSettings& settings, int64_t seeds, const fs::path& folder,
                                 bool force, Session& session, int parallel) {
  seeds_of("seeds", seeds);
  std::error_code error;
  const bool taken = !holds_nothing(folder);
  check(force || !taken, Fault::usage, folder.string(),
        ": the folder exists; --resume goes on with its runs, --force replaces them");
  check(!taken || holds_seeds(folder), Fault::usage, folder.string(),
        ": holds no runs of several seeds, so --force deletes nothing; name another folder");
  RunSettings resolved = settings;
  const std::vector<std::string> notes = prepare_run(resolved, session);
  fs::create_directories(folder, error);
  check(!error, Fault::write, folder.string(), ": the folder cannot be made: ", error.message());
  resolved.typed_in = folder_from(folder);
  const Descriptor lock = locked(folder);
  write_file(seeds_file(folder), sealed(text("seeds = ", seeds, "\n") + settings_toml(resolved)));
  for (const std::string& note : notes) session.progress.note(note);
  if (force) remove_seeds(folder);
  return for_each_seed(resolved, seeds, parallel, session, [&](const RunSettings& one, Session& own) {
    const fs::path path = seed_folder(folder, one.seed);
    return or_diverged(path, [&] { return start_run(one, path, force, own); });
  });
}

std::vector<Summary> resume_seeds(const fs::path& folder, const ResumeOptions& options, Session& session,
                                  int parallel) {
  const fs::path file = seeds_file(folder);
  const Descriptor lock = locked(folder);
  auto [settings, seeds, bound] = read_recorded_seeds(folder);
  if (!bound) session.progress.note(unbound_note(folder));
  settings = placed(settings, folder);
  apply(options, settings);
  const int epochs = epochs_of(options, settings, folder);
  if (options.data) {
    const std::string labels = labels_elsewhere(*options.data, settings.data);
    if (!labels.empty()) settings.data.val_labels = labels;
    settings.data.spec = data_elsewhere(*options.data, settings.data.spec);
  }
  if (options.teacher) settings.teacher = *options.teacher;
  if (epochs > settings.epochs || options.data || options.teacher) {
    settings.epochs = epochs;
    write_file(file, sealed(text("seeds = ", seeds, "\n") + settings_toml(settings)));
  }
  return for_each_seed(settings, seeds, parallel, session, [&](const RunSettings& one, Session& own) {
    const fs::path path = seed_folder(folder, one.seed);
    return or_diverged(path, [&] {
      if (!RunFolder::is_run(path) || read_run_settings(path).epochs >= one.epochs)
        return complete_run(one, path, own);
      RunSettings as_long = one;
      as_long.epochs = read_run_settings(path).epochs;
      check_same_settings(as_long, path);
      ResumeOptions longer = options;
      longer.epochs = one.epochs;
      longer.threads = one.threads;
      return resume_run(path, longer, own);
    });
  });
}

bool holds_seeds(const fs::path& folder) {
  return is_present(seeds_file(folder));
}

}  // namespace retort
