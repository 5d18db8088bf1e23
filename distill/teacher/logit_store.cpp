#include "distill/teacher/logit_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
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
constexpr int64_t entry_bytes = 8, old_entry_bytes = 4;  // of the index, with hashes and without

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

uint64_t seed_of(const std::string& identity) {
  return XXH3_64bits(identity.data(), identity.size());
}

// Whether a row is what was written there.
bool is_sound(const std::vector<std::byte>& row, uint64_t seed) {
  uint64_t checksum = 0;
  std::memcpy(&checksum, row.data(), sizeof checksum);
  return checksum == XXH3_64bits_withSeed(row.data() + 8, row.size() - 8, seed);
}

uint32_t slot_of(const std::vector<std::byte>& row) {
  uint32_t slot = 0;
  std::memcpy(&slot, row.data() + 8, sizeof slot);
  return slot;
}

uint32_t hash_of_entry(int64_t slot, uint32_t number, uint64_t seed) {
  const uint32_t both[] = {uint32_t(slot), number};
  return uint32_t(XXH3_64bits_withSeed(both, sizeof both, seed));
}

// An entry's number; nothing if its hash is not right.
std::optional<uint32_t> number_in(const std::byte* entry, int64_t bytes, int64_t slot, uint64_t seed) {
  uint32_t number = 0, hash = 0;
  std::memcpy(&number, entry, sizeof number);
  if (bytes == old_entry_bytes) return number;
  std::memcpy(&hash, entry + sizeof number, sizeof hash);
  const bool right = number == 0 ? hash == 0 : hash == hash_of_entry(slot, number, seed);
  return right ? std::optional(number) : std::nullopt;
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
    : folder_(folder), shape_(shape), seed_(seed_of(identity)), row_(size_t(shape.row_bytes())) {
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
  entry_bytes_ = index_.size() == old_entry_bytes * shape.slots() ? old_entry_bytes : entry_bytes;
  check_opened(index_.is_open() && index_.truncate(entry_bytes_ * shape.slots()) == 0,
               "index cannot be opened");
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

namespace {

// Of a table, these lines decide how long its files are.
LogitStore::Shape shape_in(const std::string& identity, const std::string& file) {
  LogitStore::Shape shape;
  std::istringstream lines(identity);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("classes ")) shape.classes = std::strtol(line.c_str() + 8, nullptr, 10);
    if (line.starts_with("images ")) shape.images = std::strtol(line.c_str() + 7, nullptr, 10);
    if (line == "precision f16") shape.precision = LogitPrecision::f16;
  }
  check(shape.classes > 0 && shape.classes <= 1 << 24 && shape.images > 0 &&
            shape.images < (int64_t{1} << 32) / view_count,
        Fault::input, file, ": says no number of images and classes");
  return shape;
}

// The slots of a table's rows; nothing where a row is not sound.
std::vector<std::optional<uint32_t>> slots_of_rows(InputFile& file, int64_t count, size_t row_bytes,
                                                   uint64_t seed) {
  std::vector<std::optional<uint32_t>> slots;
  std::vector<std::byte> row(row_bytes);
  for (int64_t i = 0; i < count; ++i) {
    file.read(row.data(), int64_t(row_bytes));
    slots.push_back(is_sound(row, seed) ? std::optional(slot_of(row)) : std::nullopt);
  }
  return slots;
}

}  // namespace

LogitStore::Soundness LogitStore::inspect(const fs::path& folder) {
  const fs::path named = folder / "identity.txt";
  const std::string identity = read_text_file(named, 1 << 16);
  check(folder.filename() == prefix + hash_of(std::as_bytes(std::span(identity))), Fault::input,
        named.string(), ": is not what the name of its folder is a hash of");
  const Shape shape = shape_in(identity, named.string());
  const uint64_t seed = seed_of(identity);
  const Descriptor lock(folder / "lock", O_RDONLY);
  const bool in_use = lock.is_open() && lock.try_lock(Descriptor::Lock::exclusive) != 0;
  lock.unlock();

  // The index first: of a table in use, the rows that it names are there by then.
  Soundness found;
  const int64_t row_bytes = shape.row_bytes();
  const int64_t before = InputFile(folder / "rows").size() / row_bytes;
  std::vector<std::byte> index;
  try {
    index = read_file(folder / "index");
  } catch (const Error& error) {
    found.index = error.what();
  }
  const bool old = int64_t(index.size()) == old_entry_bytes * shape.slots();
  if (found.index.empty() && !old && int64_t(index.size()) != shape.index_bytes())
    found.index = text("has ", index.size(), " bytes, expected ", shape.index_bytes());
  found.hashed = !old;

  InputFile file(folder / "rows");
  const std::vector<std::optional<uint32_t>> slots =
      slots_of_rows(file, file.size() / row_bytes, size_t(row_bytes), seed);
  found.rows = (file.size() + row_bytes - 1) / row_bytes;
  found.sound = std::count_if(slots.begin(), slots.end(), [](const auto& slot) { return slot.has_value(); });
  if (!found.index.empty()) return found;

  int64_t damaged = 0, missing = 0, unnamed = 0;
  std::vector<bool> names(size_t(shape.slots()));
  const int64_t width = old ? old_entry_bytes : entry_bytes;
  for (int64_t slot = 0; slot < shape.slots(); ++slot) {
    const std::optional<uint32_t> number = number_in(index.data() + slot * width, width, slot, seed);
    if (number == 0u) continue;
    names[size_t(slot)] = number.has_value();
    // A row that is not sound is no fault of the index.
    const bool there = number && size_t(*number) <= slots.size();
    missing += number && !there && !old;
    damaged += !number || (there ? slots[*number - 1].value_or(uint32_t(slot)) != slot : old);
  }
  found.rows += missing;
  for (size_t i = 0; i < slots.size() && int64_t(i) < before && !in_use; ++i)
    unnamed += slots[i] && (int64_t(*slots[i]) >= shape.slots() || !names[*slots[i]]);
  if (damaged > 0)
    found.index = text(damaged, " of its entries are not what was written there");
  else if (unnamed > 0)
    found.index = text("does not name ", unnamed, " rows that are there");
  return found;
}

int64_t LogitStore::rows() const {
  return std::max<int64_t>(rows_.size(), 0) / shape_.row_bytes();
}

int64_t LogitStore::count(const std::vector<bool>& wanted) const {
  constexpr size_t at_once = size_t{1} << 16;
  const auto width = size_t(entry_bytes_);
  std::vector<std::byte> entries(at_once * width);
  int64_t found = 0;
  for (size_t first = 0; first < wanted.size(); first += at_once) {
    const size_t size = std::min(at_once, wanted.size() - first);
    if (!index_.read_at(entries.data(), size * width, int64_t(first * width))) break;
    for (size_t i = 0; i < size; ++i) {
      if (!wanted[first + i]) continue;
      found +=
          number_in(entries.data() + i * width, entry_bytes_, int64_t(first + i), seed_).value_or(0) != 0;
    }
  }
  return found;
}

bool LogitStore::find(int64_t image, int view, float* to) const {
  const int64_t wanted = slot(image, view);
  std::byte entry[entry_bytes];
  if (!index_.read_at(entry, size_t(entry_bytes_), entry_bytes_ * wanted)) return false;
  const uint32_t number = number_in(entry, entry_bytes_, wanted, seed_).value_or(0);
  if (number == 0) return false;
  if (!rows_.read_at(row_.data(), row_.size(), int64_t(number - 1) * shape_.row_bytes())) return false;
  if (slot_of(row_) != uint32_t(wanted) || !is_sound(row_, seed_)) return false;
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
    const uint32_t entry[] = {number, hash_of_entry(slots[i], number, seed_)};
    if (const int error = index_.write_at(entry, size_t(entry_bytes_), entry_bytes_ * slots[i]))
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
