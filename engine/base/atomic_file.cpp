#include "engine/base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

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

struct Descriptor {
  int file;
  explicit Descriptor(int opened) : file(opened) {}
  ~Descriptor() {
    if (file >= 0) ::close(file);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

template <class Bytes>
Bytes read_whole(const fs::path& path, uint64_t limit) {
  Descriptor in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (in.file < 0 || ::fstat(in.file, &status) != 0)
    fail(Fault::input, path.string(), ": cannot be opened: ", reason_of(errno));
  check(!S_ISDIR(status.st_mode), Fault::input, path.string(), ": is a folder, expected a file");
  check(S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode), Fault::input, path.string(),
        ": is neither a file nor a pipe");
  const auto too_long = [&](uint64_t found) {
    fail(Fault::input, path.string(), ": has ", found, " bytes or more, expected at most ", limit);
  };
  if (uint64_t(status.st_size) > limit) too_long(uint64_t(status.st_size));

  // One byte more than the size, so that the read that finds the end needs no larger buffer.
  Bytes data(S_ISREG(status.st_mode) ? size_t(status.st_size) + 1 : size_t{1} << 16, {});
  size_t used = 0;
  for (;;) {
    if (used == data.size()) data.resize(2 * data.size());
    ssize_t got = ::read(in.file, data.data() + used, data.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Fault::input, path.string(), ": byte ", used, " cannot be read: ", reason_of(errno));
    if (got == 0) break;
    used += size_t(got);
    if (used > limit) too_long(used);
  }
  data.resize(used);
  return data;
}

}  // namespace

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

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
    file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (file_ < 0) fail_with(errno, "cannot be written");
    return;
  }
  do {
    temporary_ = temporary_name(folder_of(path_));
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) fail_with(errno, "cannot be written, no file can be made in its folder");
  // A user's choice of who may read the file outlives its replacement; where it cannot, the default holds.
  if (exists && ::fchmod(file_, status.st_mode & 07777) != 0) errno = 0;
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_with(int error, std::string_view action) const {
  fail(Fault::write, path_.string(), ": ", action, ": ", reason_of(error));
}

void AtomicFile::write(std::span<const std::byte> data) {
  check(file_ >= 0, "AtomicFile: ", path_.string(), " is written to after commit()");
  while (!data.empty()) {
    ssize_t done = ::write(file_, data.data(), data.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_with(errno, text("writing stopped at byte ", written_));
    written_ += uint64_t(done);
    data = data.subspan(size_t(done));
  }
}

void AtomicFile::write(std::string_view data) {
  write(std::as_bytes(std::span(data.data(), data.size())));
}

void AtomicFile::commit() {
  check(file_ >= 0, "AtomicFile: ", path_.string(), " is committed twice");
  const bool direct = temporary_.empty();
  if (!direct && ::fsync(file_) != 0) fail_with(errno, "cannot be made durable");
  const int file = file_;
  file_ = -1;  // closed whatever close() says
  if (::close(file) != 0 && errno != EINTR) fail_with(errno, "writing failed");
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
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.file >= 0 ? ::fsync(opened.file) == 0 : errno == EACCES) return;
  if (errno == EINVAL || errno == ENOTSUP || errno == EROFS) return;
  fail(Fault::write, folder.string(), ": the folder cannot be made durable: ", reason_of(errno));
}

void append_to_file(const fs::path& path, std::string_view data) {
  const Descriptor out(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  struct stat before {};
  bool ok = out.file >= 0 && ::fstat(out.file, &before) == 0;
  while (ok && !data.empty()) {
    const ssize_t done = ::write(out.file, data.data(), data.size());
    if (done >= 0) data.remove_prefix(size_t(done));
    ok = done >= 0 || errno == EINTR;
  }
  if (ok && ::fsync(out.file) == 0) return;
  const int error = errno;
  if (ok && error == EINVAL) return;  // a pipe or device, which cannot be synced
  if (S_ISREG(before.st_mode) && ::ftruncate(out.file, before.st_size) != 0) errno = error;
  fail(Fault::write, path.string(), ": cannot be appended to: ", reason_of(error));
}

void remove_abandoned_files(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> abandoned;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(temporary_prefix) && name.ends_with(temporary_suffix))
      abandoned.push_back(at->path());
  }
  for (const fs::path& path : abandoned) fs::remove(path, error);
}

std::vector<std::byte> read_file(const fs::path& path, uint64_t limit) {
  return read_whole<std::vector<std::byte>>(path, limit);
}

std::string read_text_file(const fs::path& path, uint64_t limit) {
  return read_whole<std::string>(path, limit);
}

}  // namespace retort
