#include "distill/teacher/logit_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/kernels/numbers/half.h"

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

// The lock file, locked: shared by who uses the table, exclusive, at once or not at all, for who removes it.
// Not open where that failed, and errno says why.
Descriptor lock_table(const fs::path& folder, Descriptor::Lock kind) {
  const bool uses = kind == Descriptor::Lock::shared;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::error_code ignored;
    if (uses) fs::create_directories(folder, ignored);
    Descriptor file(folder / "lock", O_RDWR | O_CREAT, 0644);
    if (!file.is_open()) {
      if (errno == ENOENT && uses) continue;  // removed in between
      return {};
    }
    if (const int error = uses ? file.lock(kind) : file.try_lock(kind)) {
      file.close();
      errno = error;
      return {};
    }
    // Removed before it was locked: nobody sees that file any more.
    struct stat held {
    }, there{};
    const bool same = ::fstat(file.number(), &held) == 0 && ::stat((folder / "lock").c_str(), &there) == 0 &&
                      held.st_ino == there.st_ino && held.st_dev == there.st_dev;
    if (same) return file;
  }
  errno = EAGAIN;
  return {};
}

bool remove_unused(const fs::path& folder) {
  const Descriptor lock = lock_table(folder, Descriptor::Lock::exclusive);
  if (!lock.is_open()) return false;
  std::error_code error;
  fs::remove_all(folder, error);
  return !error;
}

bool same_identity(const fs::path& folder, const std::string& identity) {
  return read_text_if_readable(folder / "identity.txt", 1 << 16) == identity;
}

}  // namespace

int64_t LogitStore::Shape::row_bytes() const {
  const int64_t values = classes * (precision == LogitPrecision::f32 ? 4 : 2);
  return header_bytes + (values + 7) / 8 * 8;
}

LogitStore::LogitStore(const fs::path& folder, const std::string& identity, const Shape& shape)
    : folder_(folder),
      shape_(shape),
      seed_(XXH3_64bits(identity.data(), identity.size())),
      row_(size_t(shape.row_bytes())) {
  check(shape.slots() < int64_t{1} << 32, Fault::usage, "a table of logits of ", shape.images,
        " images: expected fewer than ", (int64_t{1} << 32) / view_count);
  const auto check_opened = [&](bool opened, const char* action) {
    check(opened, Fault::write, folder.string(), ": ", action, ": ", reason_of(errno));
  };
  {  // What killed writers left, where nobody else writes now.
    const Descriptor alone = lock_table(folder, Descriptor::Lock::exclusive);
    if (alone.is_open()) remove_abandoned_files(folder);
  }
  lock_ = lock_table(folder, Descriptor::Lock::shared);
  check_opened(lock_.is_open(), "cannot be made or locked");
  rows_ = Descriptor(folder / "rows", O_RDWR | O_CREAT, 0644);
  check_opened(rows_.is_open(), "rows cannot be opened");
  index_ = Descriptor(folder / "index", O_RDWR | O_CREAT, 0644);
  check_opened(index_.is_open() && index_.truncate(4 * shape.slots()) == 0, "index cannot be opened");
  if (!same_identity(folder, identity)) write_file(folder / "identity.txt", identity);
  ::futimens(lock_.number(), nullptr);  // used now, see make_room
}

LogitStore::~LogitStore() {
  ::futimens(lock_.number(), nullptr);
}

bool LogitStore::holds_rows(const fs::path& folder, const std::string& identity) {
  std::error_code error;
  const auto size = fs::file_size(folder / "rows", error);
  return !error && size > 0 && same_identity(folder, identity);
}

LogitStore::Soundness LogitStore::inspect(const fs::path& folder) {
  const std::string identity = read_text_file(folder / "identity.txt", 1 << 16);
  check(folder.filename() == prefix + hash_of(std::as_bytes(std::span(identity))), Fault::input,
        (folder / "identity.txt").string(), ": is not what the name of its folder is a hash of");
  // Of a table, only these two decide how long a row is.
  Shape shape;
  std::istringstream lines(identity);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("classes ")) shape.classes = std::strtol(line.c_str() + 8, nullptr, 10);
    if (line == "precision f16") shape.precision = LogitPrecision::f16;
  }
  check(shape.classes > 0 && shape.classes <= 1 << 24, Fault::input, (folder / "identity.txt").string(),
        ": says no number of classes");
  const uint64_t seed = XXH3_64bits(identity.data(), identity.size());
  const auto row_bytes = size_t(shape.row_bytes());
  InputFile file(folder / "rows");
  Soundness found{(file.size() + int64_t(row_bytes) - 1) / int64_t(row_bytes), 0};
  std::vector<std::byte> row(row_bytes);
  for (int64_t i = 0; i < file.size() / int64_t(row_bytes); ++i) {
    file.read(row.data(), int64_t(row_bytes));
    uint64_t checksum = 0;
    std::memcpy(&checksum, row.data(), sizeof checksum);
    found.sound += checksum == XXH3_64bits_withSeed(row.data() + 8, row_bytes - 8, seed);
  }
  return found;
}

int64_t LogitStore::rows() const {
  return std::max<int64_t>(rows_.size(), 0) / shape_.row_bytes();
}

int64_t LogitStore::count(const std::vector<bool>& wanted) const {
  std::vector<uint32_t> numbers(size_t{1} << 16);
  int64_t found = 0;
  for (size_t first = 0; first < wanted.size(); first += numbers.size()) {
    const size_t size = std::min(numbers.size(), wanted.size() - first);
    if (!index_.read_at(numbers.data(), size * sizeof numbers[0], int64_t(first * sizeof numbers[0]))) break;
    for (size_t i = 0; i < size; ++i) found += wanted[first + i] && numbers[i] != 0;
  }
  return found;
}

bool LogitStore::find(int64_t image, int view, float* to) const {
  const int64_t wanted = slot(image, view);
  uint32_t number = 0;
  if (!index_.read_at(&number, sizeof number, 4 * wanted) || number == 0) return false;
  if (!rows_.read_at(row_.data(), row_.size(), int64_t(number - 1) * shape_.row_bytes())) return false;
  uint64_t checksum = 0;
  uint32_t found = 0;
  std::memcpy(&checksum, row_.data(), sizeof checksum);
  std::memcpy(&found, row_.data() + 8, sizeof found);
  if (found != uint32_t(wanted) ||
      checksum != XXH3_64bits_withSeed(row_.data() + 8, row_.size() - 8, seed_)) {
    return false;
  }
  const std::byte* values = row_.data() + header_bytes;
  if (shape_.precision == LogitPrecision::f32) {
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

bool LogitStore::append(std::span<const int64_t> slots, const float* logits) {
  if (!error_.empty()) return false;
  const int64_t row_bytes = shape_.row_bytes();
  std::vector<std::byte> block(slots.size() * size_t(row_bytes));
  for (size_t i = 0; i < slots.size(); ++i) {
    std::byte* row = block.data() + i * size_t(row_bytes);
    const auto slot = uint32_t(slots[i]);
    std::memcpy(row + 8, &slot, sizeof slot);
    const float* from = logits + int64_t(i) * shape_.classes;
    if (shape_.precision == LogitPrecision::f32) {
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
    if (const int error = rows_.lock(Descriptor::Lock::exclusive)) return give_up("locking", error);
    struct Unlock {
      const Descriptor& file;
      ~Unlock() { file.unlock(); }
    } unlock{rows_};
    const int64_t size = rows_.size();
    if (size < 0) return give_up("looking at rows", errno);
    // Behind a row that was cut off, if the last writer was killed.
    first = (size + row_bytes - 1) / row_bytes;
    if (uint64_t(first * row_bytes) + block.size() > limit_) {
      error_ = text("the table may take no more than ", limit_ >> 20, " MiB (teacher_table.limit_gib)");
      return false;
    }
    if (const int error = rows_.write_at(block.data(), block.size(), first * row_bytes)) {
      const bool shortened = rows_.truncate(size) == 0;
      return give_up(shortened ? "writing rows" : "writing and shortening rows", error);
    }
  }
  // Only now: the index points to rows that are there.
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto number = uint32_t(first + int64_t(i) + 1);
    if (const int error = index_.write_at(&number, sizeof number, 4 * slots[i]))
      return give_up("writing the index", error);
  }
  return true;
}

bool LogitStore::give_up(const char* action, int error) {
  error_ = text(folder_.string(), ": ", action, ": ", reason_of(error));
  return false;
}

float stored_value(float x, LogitPrecision precision) {
  return precision == LogitPrecision::f32 ? x : float_of(half_of(x));
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
