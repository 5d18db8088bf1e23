#include "distill/run/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <set>
#include <system_error>
#include <vector>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

// The lock file tells a run's folder from any other, and who holds it. It stays as long as the run does:
// another process may just have opened it.
constexpr const char* lock_name = "lock";
constexpr const char* folder_names[] = {"checkpoints", "tb", "plots"};
// config.toml while --force deletes the rest: what is left of a run whose settings are gone is then known from
// one whose settings were lost.
constexpr const char* replaced_name = ".retort-replaced.tmp";
constexpr std::string_view mark = "retort run, pid ";

fs::path checkpoint(const fs::path& folder, const char* name) {
  return folder / "checkpoints" / name;
}

constexpr long not_ours = -1, unmarked = -2;

// The pid in the lock file's first line, 0 if it has none, `unmarked` if nothing was written yet or a power
// cut lost it, `not_ours` if this is no lock file of a run.
long holder_of(const Descriptor& lock) {
  char content[64] = {};
  const int64_t size = std::min<int64_t>(lock.size(), sizeof content - 1);
  if (size < 0 || (size > 0 && !lock.read_at(content, size_t(size), 0))) return not_ours;
  const std::string_view found(content, size_t(size));
  if (found.find_first_not_of('\0') == found.npos) return unmarked;
  if (!found.starts_with(mark)) return not_ours;
  return std::strtol(content + mark.size(), nullptr, 10);
}

[[noreturn]] void fail_locked(const fs::path& folder, long holder) {
  fail(Fault::usage, folder.string(), ": another retort",
       holder > 0 ? text(" (pid ", holder, ")") : std::string(), " is running in this folder");
}

// What a run makes in its folder.
bool is_name_of_a_run(const std::string& name) {
  static const std::set<std::string> names = {"config.toml",  "env.json",     "metrics.csv",
                                              "log.txt",      "summary.json", "convolutions.txt",
                                              "profile.json", "cudnn-plans",  lock_name};
  return names.contains(name) || is_temporary_name(name) ||
         std::find(std::begin(folder_names), std::end(folder_names), name) != std::end(folder_names);
}

bool has_names_of_a_run_only(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!is_name_of_a_run(at->path().filename().string())) return false;
  return !error;
}

// Whether the folder has our lock file; if that is held, says who holds it. One without its mark, which a
// power cut leaves, is ours where nothing but a run's files lies beside it.
bool is_ours_and_free(const fs::path& folder) {
  const Descriptor file(folder / lock_name, O_RDONLY | O_NONBLOCK);
  if (!file.is_open()) return false;
  const long holder = holder_of(file);
  const bool ours = holder == unmarked ? has_names_of_a_run_only(folder) : holder != not_ours;
  const bool held = ours && file.try_lock(Descriptor::Lock::shared) == EWOULDBLOCK;
  if (held) fail_locked(folder, holder);
  return ours;
}

// A run's folder in which no run has begun: nothing is lost if another takes it.
bool is_vacant(const fs::path& folder) {
  if (!has_names_of_a_run_only(folder)) return false;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!at->is_directory() && name != lock_name && !is_temporary_name(name)) return false;
  }
  return !error;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, Fault::write, folder.string(), ": the folder cannot be made: ", error.message());
}

}  // namespace

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char shown[32];
  std::strftime(shown, sizeof shown, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return shown;
}

fs::path RunFolder::last_of(const fs::path& folder) {
  return checkpoint(folder, "last.safetensors");
}
fs::path RunFolder::previous_of(const fs::path& folder) {
  return checkpoint(folder, "previous.safetensors");
}
fs::path RunFolder::best_of(const fs::path& folder) {
  return checkpoint(folder, "best.safetensors");
}
std::vector<fs::path> RunFolder::in_the_way(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> found;
  const fs::file_status lock = fs::symlink_status(folder / lock_name, ignored);
  if (fs::exists(lock) && !fs::is_regular_file(lock)) found.push_back(folder / lock_name);
  for (const char* name : folder_names) {
    const bool there = fs::exists(fs::symlink_status(folder / name, ignored));
    if (there && !fs::is_directory(folder / name, ignored)) found.push_back(folder / name);
  }
  return found;
}
bool RunFolder::is_run(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "config.toml", error);
}

void RunFolder::check_free(const fs::path& path, Mode mode) {
  const std::string shown = path.string();
  std::error_code error;
  const fs::path folder = path.has_filename() ? path : path.parent_path();  // "runs/1/"
  if (mode == Mode::resume || mode == Mode::follow || !fs::exists(fs::symlink_status(folder, error))) return;
  check(fs::is_directory(folder, error), Fault::usage, shown,
        ": is not a folder, expected a new run's folder");
  const bool empty = holds_nothing(folder), vacant = is_vacant(folder);
  // A power cut may lose the lock's name and leave that of an empty folder made after it.
  const bool unlocked = vacant && !fs::exists(fs::symlink_status(folder / lock_name, error));
  const bool ours = unlocked || is_ours_and_free(folder);
  check(mode == Mode::force || empty || (ours && vacant), Fault::usage, shown,
        has_checkpoint(folder) || !fs::exists(folder / "summary.json")
            ? ": the folder exists; --resume goes on with its run, --force replaces it"
            : ": the folder exists; its run ended before its first checkpoint, --force replaces it");
  check(ours || empty, Fault::usage, shown,
        ": is not empty and no run's folder, so --force deletes nothing; name another folder");
  check(is_run(folder) || !has_checkpoint(folder) || fs::exists(folder / replaced_name, error), Fault::usage,
        shown, ": its config.toml is lost, its checkpoints are not; --force deletes nothing. Move ",
        (folder / "checkpoints").string(), " away, or name another folder");
}

RunFolder::RunFolder(const fs::path& path, Mode mode) : path_(path) {
  const std::string shown = path.string();
  std::error_code error;
  if (!path_.has_filename()) path_ = path_.parent_path();  // "runs/1/"
  const bool exists = fs::exists(fs::symlink_status(path_, error));
  if (mode == Mode::follow) return;
  check_free(path, mode);
  if (mode == Mode::resume) {
    check(exists, Fault::input, shown, ": there is no such folder to resume");
    check(is_run(path_), Fault::input, shown, ": is no run to resume: there is no config.toml in it");
  } else if (!exists) {
    if (path_.has_parent_path()) make_folder(path_.parent_path());
    // Of two processes that get here, one makes the folder.
    if (::mkdir(path_.c_str(), 0777) != 0) {
      check(errno != EEXIST, Fault::usage, shown, ": another process just made this folder");
      fail(Fault::write, shown, ": the folder cannot be made: ", reason_of(errno));
    }
    made_ = true;
  }
  lock();
  try {
    if (mode == Mode::force) delete_run();
    for (const char* name : folder_names) {
      make_folder(path_ / name);
      remove_abandoned_files(path_ / name);
    }
    remove_abandoned_files(path_);
    // What is synced later inside would be lost with the names that lead there.
    sync_folder(path_);
    sync_folder(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
  } catch (...) {
    if (made_) discard();
    throw;
  }
}

void RunFolder::put_previous_back() const {
  std::error_code error;
  fs::rename(previous(), last(), error);
  check(!error, Fault::write, last().string(), ": cannot be replaced by the one before: ", error.message());
  sync_folder(last().parent_path());
}

void RunFolder::discard() const {
  std::error_code ignored;
  try {
    delete_run();
  } catch (const Error&) {
  }
  for (const char* name : folder_names) fs::remove(path_ / name, ignored);  // only if it is empty
  // Without its lock, what could not be removed would be no run's, and no run could take its place.
  for (fs::directory_iterator at(path_, ignored), end; !ignored && at != end; at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    if (name != lock_name && is_name_of_a_run(name)) return;
  }
  fs::remove(path_ / lock_name, ignored);
  if (made_) fs::remove(path_, ignored);
}

bool RunFolder::has_checkpoint(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(last_of(folder), ignored) || fs::exists(previous_of(folder), ignored);
}

void RunFolder::lock() {
  const fs::path name = path_ / lock_name;
  lock_ = Descriptor(name, O_RDWR | O_CREAT | O_NOFOLLOW);
  check(lock_.is_open(), Fault::write, name.string(), ": cannot be written: ", reason_of(errno));
  if (int error = lock_.try_lock(Descriptor::Lock::exclusive)) {
    if (error == EWOULDBLOCK) fail_locked(path_, holder_of(lock_));
    fail(Fault::write, name.string(), ": cannot be locked: ", reason_of(error));
  }
  // A run that was given up may just have removed it.
  std::error_code ignored;
  check(fs::equivalent(text("/proc/self/fd/", lock_.number()), name, ignored), Fault::usage, path_.string(),
        ": another process just removed this folder; try again");
  // Always of one length, so that it is overwritten in place and never seen half written.
  char pid[16];
  std::snprintf(pid, sizeof pid, "%10ld\n", long(::getpid()));
  const std::string content = std::string(mark) + pid;
  int error = lock_.write_at(content.data(), content.size(), 0);
  if (error == 0) error = lock_.sync();
  if (error == 0) return;
  if (made_) discard();
  fail(Fault::write, name.string(), ": cannot be written: ", reason_of(error));
}

// Only files a run makes, by name: notes that lie beside them stay.
void RunFolder::delete_run() const {
  // Without config.toml, what a kill leaves of this is no run to resume.
  const fs::path replaced = path_ / replaced_name;
  std::error_code ignored;
  fs::rename(config(), replaced, ignored);
  if (!ignored) sync_folder(path_);
  std::vector<fs::path> files = {config(),   environment(), metrics(), log_file(),     summary(), last(),
                                 previous(), best(),        profile(), convolutions()};
  const auto add = [&](const fs::path& folder, std::string_view prefix, std::string_view suffix) {
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (name.starts_with(prefix) && name.ends_with(suffix)) files.push_back(at->path());
    }
  };
  add(tensorboard(), "events.out.tfevents.", "");
  add(plots(), "", ".svg");
  add(plans(), "", ".plan");
  files.push_back(replaced);
  for (const fs::path& file : files) {
    const bool gone = ::unlink(file.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR;
    check(gone, Fault::write, file.string(), ": cannot be deleted: ", reason_of(errno));
  }
  fs::remove(plans(), ignored);  // only if it is empty
}

void RunFolder::log(std::string_view message) const {
  std::string line = utc_time() + ' ' + std::string(message);
  for (char& c : line)
    if (c == '\n' || c == '\r') c = ' ';
  append_to_file(log_file(), line + '\n');
}

}  // namespace retort
