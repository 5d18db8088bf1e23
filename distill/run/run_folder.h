// The folder of one run (--out): where everything of the run lies, and who may write there.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/descriptor.h"

namespace retort {

// Held open, and so locked, for as long as the run writes.
class RunFolder {
 public:
  enum class Mode {
    create,  // there must be no run in the folder yet, nor anything else
    force,   // a run that is there is deleted; a folder that is neither ours nor empty is refused, untouched
    resume,  // the run must be there
    follow,  // another process of the run has it: this one writes nothing there
  };

  // Makes missing parents. Fault::usage: something is in it (create), it is not ours (force), or another
  // process is running in it (its pid is named). Fault::input: nothing to resume. Fault::write: it cannot be
  // made.
  RunFolder(const std::filesystem::path& path, Mode mode);
  // The same refusals of a new run, before anything is made.
  static void check_free(const std::filesystem::path& path, Mode mode);

  // Appends a line to log.txt, with the time (UTC) before it. Line ends inside become spaces.
  void log(std::string_view message) const;

  // Makes the checkpoint before the last one the last: where that is lost or damaged, and the run has gone on
  // from the one before. Otherwise the next one would keep the damaged one in its place.
  void put_previous_back() const;

  // Removes what was made, where the run could not begin.
  void discard() const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.toml"; }
  std::filesystem::path environment() const { return path_ / "env.json"; }
  std::filesystem::path metrics() const { return path_ / "metrics.csv"; }
  std::filesystem::path log_file() const { return path_ / "log.txt"; }
  std::filesystem::path summary() const { return path_ / "summary.json"; }
  std::filesystem::path tensorboard() const { return path_ / "tb"; }
  std::filesystem::path convolutions() const { return path_ / "convolutions.txt"; }  // see ConvTuning
  std::filesystem::path plans() const { return path_ / "cudnn-plans"; }  // see Backend::keep_plans()
  std::filesystem::path profile() const { return path_ / "profile.json"; }
  std::filesystem::path plots() const { return path_ / "plots"; }
  std::filesystem::path last() const { return last_of(path_); }
  std::filesystem::path previous() const { return previous_of(path_); }
  std::filesystem::path best() const { return best_of(path_); }

  // The same for a folder that is only read: `--teacher RUN`, compare, report.
  static bool is_run(const std::filesystem::path& folder);
  static bool has_checkpoint(const std::filesystem::path& folder);
  static std::filesystem::path last_of(const std::filesystem::path& folder);
  static std::filesystem::path previous_of(const std::filesystem::path& folder);
  static std::filesystem::path best_of(const std::filesystem::path& folder);
  // What stands where a run keeps its lock or one of its folders, and is another kind of thing: until it is
  // gone, no run can go on there.
  static std::vector<std::filesystem::path> in_the_way(const std::filesystem::path& folder);

 private:
  void lock();
  void delete_run() const;

  std::filesystem::path path_;
  bool made_ = false;  // the folder itself
  Descriptor lock_;
};

// "2025-01-31T12:34:56Z", now.
std::string utc_time();

}  // namespace retort
