#include "distill/study/resume_point.h"

#include "distill/run/run_folder.h"
#include "distill/study/places.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "layers/formats/safetensors.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// Why the checkpoint cannot be believed; empty: it is sound.
std::string damage_of(const fs::path& file) {
  if (!is_present(file)) return file.string() + ": is not there";
  try {
    record_of(read_safetensors(file).metadata, file.string());
    return "";
  } catch (const Error& error) {
    if (error.fault() != Fault::input) throw;
    return error.what();
  }
}

// The same, or why it is not the run's.
std::string problem_of(const fs::path& folder, const fs::path& file) {
  const std::string damage = damage_of(file);
  if (!damage.empty()) return damage;
  try {
    check_of_run(folder, file);
    return "";
  } catch (const Error& error) {
    if (error.fault() != Fault::input) throw;
    return error.what();
  }
}

// Whether there was a checkpoint. Of the first epoch a row is written before one; one that diverges has none.
bool was_trained(const RecordedRun& run, const fs::path& folder) {
  const std::string status = run.summary ? run.summary->status : "diverged";
  const bool said =
      status == "finished" || status == "stopped" || (status == "running" && run.summary->epochs_done > 0);
  return said || run.metrics.rows.size() > 1 || is_present(RunFolder::best_of(folder));
}

std::string anew(const fs::path& folder) {
  const std::string shown = folder.string();
  return text("`retort ", read_run_settings(folder).command, " --config ", (folder / "config.toml").string(),
              " --out ", shown, " --force` trains it anew",
              is_present(RunFolder::best_of(folder))
                  ? text("; another run can start from --init ", shown, ":best")
                  : std::string());
}

}  // namespace

std::optional<fs::path> resume_point(const fs::path& folder) {
  const fs::path last = RunFolder::last_of(folder), previous = RunFolder::previous_of(folder);
  if (!RunFolder::has_checkpoint(folder)) {
    check(!was_trained(read_recorded_run(folder), folder), Fault::input, folder.string(),
          ": the run cannot go on: its checkpoints, last and previous, are lost; ", anew(folder));
    return std::nullopt;
  }
  const std::string damage = damage_of(last);
  if (damage.empty()) return last;
  const std::string before = problem_of(folder, previous);
  check(before.empty(), Fault::input, damage, "; ", before, "; the run cannot go on: ", anew(folder));
  return previous;
}

bool has_sound_last(const fs::path& folder) {
  return damage_of(RunFolder::last_of(folder)).empty();
}

void restore_checkpoints(const fs::path& folder, const fs::path& point, const Tell& tell) {
  const Counters counters = read_checkpoint_record(point).counters;
  const fs::path previous = RunFolder::previous_of(folder), best = RunFolder::best_of(folder);
  const auto restore = [&](const fs::path& file, bool is_point) {
    const std::string problem = problem_of(folder, file);
    if (problem.empty()) return;
    if (!is_point)
      return tell(
          text(problem, "; epoch ", counters.best->epoch, ", the best, is over and cannot be made again"));
    const std::vector<std::byte> content = read_file(point);
    AtomicFile copy(file);
    copy.write(content);
    copy.commit();
    tell(text(problem, "; made again from ", point.filename().string()));
  };
  if (is_present(previous) && point != previous) restore(previous, true);
  if (counters.best) restore(best, is_best(counters));
}

std::string convolutions_of(const RecordedRun& run, const fs::path& file, const Tell& tell) {
  const std::optional<std::string> found = read_text_if_readable(file);
  const std::string there = found.value_or("");
  if (!run.settings.tune || !run.began || there == run.convolutions) return there;
  if (run.convolutions) {
    tell(text(file.string(), found ? ": is not what the checkpoint says" : ": is not there",
              "; the checkpoint's own record is used"));
    return *run.convolutions;
  }
  if (!found)
    tell(text(file.string(),
              ": is not there; if it said by which algorithms the run computed its convolutions, they "
              "are measured again, and the run may end at other weights than it would have"));
  return there;
}

}  // namespace retort
