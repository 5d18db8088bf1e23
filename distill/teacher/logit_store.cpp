#include "distill/teacher/logit_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/half.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr const char* prefix = "logits-";  // of the folders of tables
constexpr int64_t header_bytes = 16;

uint64_t allocated_bytes(const fs::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? uint64_t(status.st_blocks) * 512 : 0;
}

uint64_t table_bytes(const fs::path& folder) {
  return allocated_bytes(folder / "rows") + allocated_bytes(folder / "index");
}

// All of it, or errno.
int write_at(int file, const void* data, size_t bytes, off_t at) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(file, from, bytes, at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    from += written;
    at += written;
    bytes -= size_t(written);
  }
  return 0;
}

bool read_at(int file, void* data, size_t bytes, off_t at) {
  char* to = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::pread(file, to, bytes, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    at += got;
    bytes -= size_t(got);
  }
  return true;
}

class FileLock {
 public:
  explicit FileLock(int file) : file_(file) {
    while ((failed_ = ::flock(file, LOCK_EX) != 0) && errno == EINTR) continue;
  }
  ~FileLock() { ::flock(file_, LOCK_UN); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool failed() const { return failed_; }

 private:
  int file_;
  bool failed_ = false;
};

// The lock file, locked: shared by who uses the table, exclusive for who removes it. -1 and errno otherwise.
int lock_table(const fs::path& folder, int operation) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::error_code ignored;
    if (operation == LOCK_SH) fs::create_directories(folder, ignored);
    const int file = ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) {
      if (errno == ENOENT && operation == LOCK_SH) continue;  // removed in between
      return -1;
    }
    struct stat held {
    }, there{};
    if (::flock(file, operation) != 0) {
      const int error = errno;
      ::close(file);
      errno = error;
      return -1;
    }
    // Removed before it was locked: nobody sees that file any more.
    const bool same = ::fstat(file, &held) == 0 && ::stat((folder / "lock").c_str(), &there) == 0 &&
                      held.st_ino == there.st_ino && held.st_dev == there.st_dev;
    if (same) return file;
    ::close(file);
  }
  errno = EAGAIN;
  return -1;
}

bool remove_unused(const fs::path& folder) {
  const int lock = lock_table(folder, LOCK_EX | LOCK_NB);
  if (lock < 0) return false;
  std::error_code error;
  fs::remove_all(folder, error);
  ::close(lock);
  return !error;
}

bool same_identity(const fs::path& folder, const std::string& identity) {
  try {
    return read_text_file(folder / "identity.txt", 1 << 16) == identity;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

int64_t TeacherTable::Shape::row_bytes() const {
  const int64_t values = classes * (precision == TablePrecision::f32 ? 4 : 2);
  return header_bytes + (values + 7) / 8 * 8;
}

TeacherTable::TeacherTable(const fs::path& folder, const std::string& identity, const Shape& shape)
    : folder_(folder),
      shape_(shape),
      seed_(XXH3_64bits(identity.data(), identity.size())),
      row_(size_t(shape.row_bytes())) {
  check(shape.slots() < int64_t{1} << 32, Fault::usage, "a table of logits of ", shape.images,
        " images: expected fewer than ", (int64_t{1} << 32) / view_count);
  const auto refuse = [&](const char* action) {
    const int error = errno;
    for (const int file : {index_, rows_, lock_}) {
      if (file >= 0) ::close(file);
    }
    fail(Fault::write, folder.string(), ": ", action, ": ", reason_of(error));
  };
  lock_ = lock_table(folder, LOCK_SH);
  if (lock_ < 0) refuse("cannot be made or locked");
  rows_ = ::open((folder / "rows").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (rows_ < 0) refuse("rows cannot be opened");
  index_ = ::open((folder / "index").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (index_ < 0 || ::ftruncate(index_, off_t(4 * shape.slots())) != 0) refuse("index cannot be opened");
  if (!same_identity(folder, identity)) {
    try {
      write_file(folder / "identity.txt", identity);
    } catch (const Error&) {
      refuse("identity.txt cannot be written");
    }
  }
  ::futimens(lock_, nullptr);  // used now, see make_room
}

TeacherTable::~TeacherTable() {
  ::futimens(lock_, nullptr);
  for (const int file : {index_, rows_, lock_}) ::close(file);
}

bool TeacherTable::holds_rows(const fs::path& folder, const std::string& identity) {
  std::error_code error;
  const auto size = fs::file_size(folder / "rows", error);
  return !error && size > 0 && same_identity(folder, identity);
}

int64_t TeacherTable::rows() const {
  struct stat status {};
  return ::fstat(rows_, &status) == 0 ? int64_t(status.st_size) / shape_.row_bytes() : 0;
}

bool TeacherTable::find(int64_t image, int view, float* to) const {
  const int64_t wanted = slot(image, view);
  uint32_t number = 0;
  if (!read_at(index_, &number, sizeof number, off_t(4 * wanted)) || number == 0) return false;
  if (!read_at(rows_, row_.data(), row_.size(), off_t(int64_t(number - 1) * shape_.row_bytes())))
    return false;
  uint64_t checksum = 0;
  uint32_t found = 0;
  std::memcpy(&checksum, row_.data(), sizeof checksum);
  std::memcpy(&found, row_.data() + 8, sizeof found);
  if (found != uint32_t(wanted) ||
      checksum != XXH3_64bits_withSeed(row_.data() + 8, row_.size() - 8, seed_)) {
    return false;
  }
  const std::byte* values = row_.data() + header_bytes;
  if (shape_.precision == TablePrecision::f32) {
    std::memcpy(to, values, size_t(shape_.classes) * sizeof(float));
  } else {
    for (int64_t c = 0; c < shape_.classes; ++c) {
      uint16_t half = 0;
      std::memcpy(&half, values + 2 * c, sizeof half);
      to[c] = float_of(half);
    }
  }
  return true;
}

bool TeacherTable::append(std::span<const int64_t> slots, const float* logits) {
  if (!error_.empty()) return false;
  const int64_t row_bytes = shape_.row_bytes();
  std::vector<std::byte> block(slots.size() * size_t(row_bytes));
  for (size_t i = 0; i < slots.size(); ++i) {
    std::byte* row = block.data() + i * size_t(row_bytes);
    const auto slot = uint32_t(slots[i]);
    std::memcpy(row + 8, &slot, sizeof slot);
    const float* from = logits + int64_t(i) * shape_.classes;
    if (shape_.precision == TablePrecision::f32) {
      std::memcpy(row + header_bytes, from, size_t(shape_.classes) * sizeof(float));
    } else {
      for (int64_t c = 0; c < shape_.classes; ++c) {
        const uint16_t half = half_of(from[c]);
        std::memcpy(row + header_bytes + 2 * c, &half, sizeof half);
      }
    }
    const uint64_t checksum = XXH3_64bits_withSeed(row + 8, size_t(row_bytes) - 8, seed_);
    std::memcpy(row, &checksum, sizeof checksum);
  }

  int64_t first = 0;
  {
    const FileLock lock(rows_);
    if (lock.failed()) return give_up("locking", errno);
    struct stat status {};
    if (::fstat(rows_, &status) != 0) return give_up("looking at rows", errno);
    // Behind a row that was cut off, if the last writer was killed.
    first = (int64_t(status.st_size) + row_bytes - 1) / row_bytes;
    if (uint64_t(first * row_bytes) + block.size() > limit_) {
      error_ = text("the table may take no more than ", limit_ >> 20, " MiB (teacher_table.limit_gib)");
      return false;
    }
    if (const int error = write_at(rows_, block.data(), block.size(), off_t(first * row_bytes))) {
      const bool shortened = ::ftruncate(rows_, status.st_size) == 0;
      return give_up(shortened ? "writing rows" : "writing and shortening rows", error);
    }
  }
  // Only now: the index points to rows that are there.
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto number = uint32_t(first + int64_t(i) + 1);
    if (const int error = write_at(index_, &number, sizeof number, off_t(4 * slots[i])))
      return give_up("writing the index", error);
  }
  return true;
}

bool TeacherTable::give_up(const char* action, int error) {
  error_ = text(folder_.string(), ": ", action, ": ", reason_of(error));
  return false;
}

float stored_value(float x, TablePrecision precision) {
  return precision == TablePrecision::f32 ? x : float_of(half_of(x));
}

uint64_t make_room(const fs::path& cache, const fs::path& keep, uint64_t wanted, uint64_t limit) {
  struct Other {
    fs::path folder;
    fs::file_time_type used;
    uint64_t bytes;
  };
  std::vector<Other> others;
  uint64_t taken = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cache, error)) {
    if (!entry.path().filename().string().starts_with(prefix) || entry.path() == keep) continue;
    std::error_code ignored;
    others.push_back(
        {entry.path(), fs::last_write_time(entry.path() / "lock", ignored), table_bytes(entry.path())});
    taken += others.back().bytes;
  }
  std::sort(others.begin(), others.end(), [](const Other& a, const Other& b) { return a.used < b.used; });
  for (const Other& other : others) {
    if (taken + wanted <= limit) break;
    if (remove_unused(other.folder)) taken -= other.bytes;
  }
  return limit > taken ? limit - taken : 0;
}

}  // namespace retort
