#include "engine/base/atomic_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <vector>

#include "engine/base/check.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view temporary_prefix = ".retort-", temporary_suffix = ".tmp";

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// Unique among the processes of this machine and the threads of this process; O_EXCL sees to the rest.
fs::path temporary_name(const fs::path& folder) {
  static std::atomic<unsigned> count{0};
  return folder / text(temporary_prefix, ::getpid(), "-", count++, temporary_suffix);
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path, const fs::path& keep) : path_(path), keep_(keep) {
  std::error_code ignored;
  if (fs::is_symlink(path_, ignored)) path_ = fs::weakly_canonical(path_, ignored);
  if (path_.empty()) path_ = path;  // a loop of links: opening it gives the reason
  check(keep.empty() || folder_of(keep) == folder_of(path), "AtomicFile: ", keep.string(), " is kept for ",
        path.string(), ", expected one folder");

  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail_with(EISDIR, "cannot be written");
  if (exists && !S_ISREG(status.st_mode)) {
    file_ = Descriptor(path_, O_WRONLY | O_NOCTTY);
    if (!file_.is_open()) fail_with(errno, "cannot be written");
    return;
  }
  do {
    temporary_ = temporary_name(folder_of(path_));
    file_ = Descriptor(temporary_, O_WRONLY | O_CREAT | O_EXCL);
  } while (!file_.is_open() && errno == EEXIST);
  if (!file_.is_open()) fail_with(errno, "cannot be written, no file can be made in its folder");
  // A user's choice of who may read the file outlives its replacement; where it cannot, the default holds.
  if (exists && ::fchmod(file_.number(), status.st_mode & 07777) != 0) errno = 0;
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_with(int error, std::string_view action) const {
  fail(Fault::write, path_.string(), ": ", action, ": ", reason_of(error));
}

void AtomicFile::write(std::span<const std::byte> data) {
  check(file_.is_open(), "AtomicFile: ", path_.string(), " is written to after commit()");
  if (const int error = file_.write(data.data(), data.size(), &written_))
    fail_with(error, text("writing stopped at byte ", written_));
}

void AtomicFile::write(std::string_view data) {
  write(std::as_bytes(std::span(data.data(), data.size())));
}

void AtomicFile::commit() {
  check(file_.is_open(), "AtomicFile: ", path_.string(), " is committed twice");
  const bool direct = temporary_.empty();
  if (const int error = direct ? 0 : file_.sync()) fail_with(error, "cannot be made durable");
  if (const int error = file_.close()) fail_with(error, "writing failed");
  if (direct) return;
  if (!keep_.empty()) keep_the_one_before();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with(errno, "cannot be replaced");
  temporary_.clear();
  sync_folder(folder_of(path_));
}

// A second name for the old file, then the rename of that: `path` never goes missing.
void AtomicFile::keep_the_one_before() {
  const fs::path second = temporary_name(folder_of(path_));
  if (::link(path_.c_str(), second.c_str()) == 0) {
    const int error = ::rename(second.c_str(), keep_.c_str()) == 0 ? 0 : errno;
    ::unlink(second.c_str());  // rename() does nothing if both names already are the same file
    if (error) fail_with(error, text("the one before cannot be kept as ", keep_.string()));
  } else if (errno != ENOENT) {
    // No hard links here (FAT, some network file systems): for an instant only `keep` is complete.
    if (::rename(path_.c_str(), keep_.c_str()) != 0 && errno != ENOENT)
      fail_with(errno, text("the one before cannot be kept as ", keep_.string()));
  }
}

void write_file(const fs::path& path, std::string_view data) {
  AtomicFile file(path);
  file.write(data);
  file.commit();
}

// Some file systems cannot sync folders and need not; a folder one may write to but not list cannot be
// opened.
void sync_folder(const fs::path& folder) {
  const Descriptor opened(folder, O_RDONLY | O_DIRECTORY);
  const int error = opened.is_open() ? opened.sync() : errno;
  if (error == 0 || (error == EACCES && !opened.is_open())) return;
  if (error == EINVAL || error == ENOTSUP || error == EROFS) return;
  fail(Fault::write, folder.string(), ": the folder cannot be made durable: ", reason_of(error));
}

void append_to_file(const fs::path& path, std::string_view data) {
  const Descriptor out(path, O_WRONLY | O_APPEND | O_CREAT);
  struct stat before {};
  int error = out.is_open() && ::fstat(out.number(), &before) == 0 ? 0 : errno;
  if (error == 0) {
    error = out.write(data.data(), data.size());
    if (error == 0) {
      error = out.sync();
      if (error == 0 || error == EINVAL) return;  // a pipe or device cannot be synced
    }
    if (S_ISREG(before.st_mode)) out.truncate(before.st_size);
  }
  fail(Fault::write, path.string(), ": cannot be appended to: ", reason_of(error));
}

bool is_temporary_name(std::string_view name) {
  return name.starts_with(temporary_prefix) && name.ends_with(temporary_suffix);
}

bool holds_nothing(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return true;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!is_temporary_name(at->path().filename().string())) return false;
  return !error;
}

void remove_abandoned_files(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> abandoned;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (is_temporary_name(at->path().filename().string())) abandoned.push_back(at->path());
  }
  for (const fs::path& path : abandoned) fs::remove(path, error);
}

}  // namespace retort
