#include "distill/study/runs.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <mutex>
#include <sstream>
#include <thread>

#include "datasets/open.h"
#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/study_progress.h"
#include "distill/train/trainer.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr const char* seeds_name = "seeds.toml";

// The settings that a run's own file holds. What is wrong with it is wrong with the folder that was named.
RunSettings read_config(const fs::path& file) {
  RunSettings settings;
  try {
    read_settings(file, settings);
  } catch (const Error& error) {
    fail(Fault::input, error.what());
  }
  return settings;
}

void apply(const ResumeOptions& options, RunSettings& settings) {
  settings.threads = options.threads.value_or(settings.threads);
  settings.data.workers = options.workers.value_or(settings.data.workers);
}

bool finished(const fs::path& folder) {
  return fs::exists(folder / "summary.json") && read_summary(folder / "summary.json").status == "finished";
}

// The first line in which two files of settings differ, of each, or empty.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::istringstream in_a(a), in_b(b);
  std::string line_a, line_b;
  while (true) {
    const bool more_a = bool(std::getline(in_a, line_a)), more_b = bool(std::getline(in_b, line_b));
    if (!more_a && !more_b) return {};
    if (!more_a) line_a.clear();
    if (!more_b) line_b.clear();
    if (line_a != line_b) return {line_a, line_b};
  }
}

fs::path seed_folder(const fs::path& folder, uint64_t seed) {
  return folder / text("seed-", seed);
}

bool stopped(const Summary& summary) {
  return summary.status == "stopped";
}

}  // namespace

const DataSet& Session::data(const std::string& spec) {
  if (!data_ || spec_ != spec) {
    data_.reset();  // never two in memory
    data_ = std::make_shared<const DataSet>(open_dataset(spec));
    spec_ = spec;
  }
  return *data_;
}

std::vector<std::string> prepare_run(RunSettings& settings, Session& session) {
  std::vector<std::string> notes = resolve(settings);
  const Assembly assembled(settings, session.data(settings.data.spec), session.progress,
                           {.check_only = true});
  return notes;
}

Summary start_run(RunSettings settings, const fs::path& path, bool force, Session& session) {
  const std::vector<std::string> notes = resolve(settings);
  const RunFolder::Mode mode = force ? RunFolder::Mode::force : RunFolder::Mode::create;
  RunFolder::check_free(path, mode);  // the assembling takes a while
  Assembly run(settings, session.data(settings.data.spec), session.progress,
               {.profile = session.profile, .notes = notes});
  const RunFolder folder(path, mode);
  return train(run, folder, false, session.progress, session.stop, session.arguments);
}

Summary resume_run(const fs::path& path, const ResumeOptions& options, Session& session) {
  const RunFolder folder(path, RunFolder::Mode::resume);
  if (finished(path)) {
    session.progress.note(text(path.string(), ": the run is finished"));
    return read_summary(folder.summary());
  }
  RunSettings settings = read_config(folder.config());
  apply(options, settings);
  // Of a version that had no tables.
  if (settings.teacher_source == "auto") settings.teacher_source = "live";
  const DataSet& data = session.data(settings.data.spec);
  const std::string recorded = recorded_data_hash(folder.environment()), now = text(std::hex, data.hash());
  check(recorded.empty() || recorded == now, Fault::input, settings.data.spec, ": is not the data that ",
        path.string(), " was trained on (its hash was ", recorded, ", now it is ", now,
        "); the run cannot go on with other images");
  AssemblyOptions assembling{.profile = session.profile, .record_name = folder.convolutions().string()};
  if (fs::exists(folder.convolutions())) assembling.convolutions = read_text_file(folder.convolutions());
  Assembly run(settings, data, session.progress, assembling);
  return train(run, folder, true, session.progress, session.stop, session.arguments);
}

void check_same_run(const RunSettings& wanted, const fs::path& folder) {
  if (!RunFolder::is_run(folder)) return;
  RunSettings there = read_config(folder / "config.toml"), now = wanted;
  // What nobody gave was settled when the run was assembled: the device, numbers of data and weights.
  const auto settled = [](std::string& mine, const std::string& found) {
    if (mine.empty() || mine == "auto") mine = found;
  };
  settled(now.device, there.device);
  settled(now.precision, there.precision);
  settled(now.teacher_source, there.teacher_source);
  settled(now.data.mean, there.data.mean);
  settled(now.data.std, there.data.std);
  settled(now.teacher_mean, there.teacher_mean);
  settled(now.teacher_std, there.teacher_std);
  resolve(now);
  const auto [old_line, new_line] = first_difference(deciding_settings(there), deciding_settings(now));
  check(old_line == new_line, Fault::usage, folder.string(),
        ": holds a run with other settings (there: ", old_line.empty() ? "nothing" : old_line,
        "; now: ", new_line.empty() ? "nothing" : new_line,
        "); name another folder, or --force to start anew");
}

Summary complete_run(const RunSettings& settings, const fs::path& path, Session& session) {
  // A kill in the first moment leaves a folder without a run: force makes it one.
  if (!RunFolder::is_run(path)) return start_run(settings, path, fs::exists(path), session);
  check_same_run(settings, path);
  const fs::path summary = path / "summary.json";
  if (fs::exists(summary) && read_summary(summary).status == "diverged") return read_summary(summary);
  return resume_run(path, {.threads = settings.threads, .workers = settings.data.workers}, session);
}

namespace {

using SeedRun = std::function<Summary(const RunSettings& settings, Session& session)>;

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
  for (int64_t i = 0; i < seeds; ++i) {
    RunSettings& one = runs[size_t(i)];
    one.seed += uint64_t(i);
    if (parallel > 1 && one.threads == 0) one.threads = std::max(1, cpu_quota() / parallel);
  }
  return parallel == 1 ? one_by_one(runs, session, run) : side_by_side(runs, parallel, session, run);
}

}  // namespace

std::vector<Summary> start_seeds(const RunSettings& settings, int seeds, const fs::path& folder, bool force,
                                 Session& session, int parallel) {
  check(seeds >= 1, Fault::usage, "seeds is ", seeds, ", expected 1 or more");
  check(force || !fs::exists(folder), Fault::usage, folder.string(),
        ": the folder exists; --resume goes on with its runs, --force replaces them");
  check(!fs::exists(folder) || holds_seeds(folder), Fault::usage, folder.string(),
        ": holds no runs of several seeds, so --force deletes nothing; name another folder");
  RunSettings resolved = settings;
  const std::vector<std::string> notes = prepare_run(resolved, session);
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, Fault::write, folder.string(), ": the folder cannot be made: ", error.message());
  write_file(folder / seeds_name, text("seeds = ", seeds, "\n") + settings_toml(resolved));
  for (const std::string& note : notes) session.progress.note(note);
  return for_each_seed(resolved, seeds, parallel, session, [&](const RunSettings& one, Session& own) {
    return start_run(one, seed_folder(folder, one.seed), force, own);
  });
}

std::vector<Summary> resume_seeds(const fs::path& folder, const ResumeOptions& options, Session& session,
                                  int parallel) {
  const fs::path file = folder / seeds_name;
  RunSettings settings;
  int64_t seeds = 0;
  try {
    const TomlValue table = read_toml(file);
    const TomlValue* count = table.find("seeds");
    check(count && count->kind == TomlValue::integer, Fault::input, file.string(), ": has no seeds = N");
    seeds = count->as_integer;
    set_from_table(settings, table, file.string(), {"seeds"});
  } catch (const Error& error) {
    fail(Fault::input, error.what());
  }
  apply(options, settings);
  return for_each_seed(settings, seeds, parallel, session, [&](const RunSettings& one, Session& own) {
    return complete_run(one, seed_folder(folder, one.seed), own);
  });
}

bool holds_seeds(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / seeds_name, ignored);
}

}  // namespace retort
