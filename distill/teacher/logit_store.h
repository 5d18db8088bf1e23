// A file of a teacher's logits, a row per image and view, filled as they become known and shared by all runs
// and processes that need the same ones.
//
// A folder holds `identity.txt` (what the logits are of, in words), `rows` and `index`. `rows` only grows:
// row = { u64 checksum, u32 slot, u32 0, classes x f32 or f16, zeros up to a multiple of 8 bytes }, slot =
// image * view_count + view. `index` holds for each slot { u32 number, u32 hash }: 1 + the number of its row
// and the lower half of the XXH3 of slot and number, or zeros. One of an older program holds the numbers
// alone, and stays like that. The index is a hint: whatever it says, a row counts only if slot and checksum
// agree. So what a killed process or a full disk left half written is not found, and processes need no more
// than a lock while one appends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "datasets/augment/augment.h"
#include "engine/base/descriptor.h"

namespace retort {

enum class LogitPrecision { f32, f16 };

class LogitStore {
 public:
  struct Shape {
    int64_t images = 0, classes = 0;
    LogitPrecision precision = LogitPrecision::f32;
    int64_t slots() const { return images * view_count; }
    int64_t row_bytes() const;
    int64_t index_bytes() const { return 8 * slots(); }
    // Of a table that holds `rows` rows.
    uint64_t bytes(int64_t rows) const { return uint64_t(rows * row_bytes() + index_bytes()); }
  };

  // Opens folder's table, or makes an empty one. It stays locked against removal while it is open.
  // Fault::write if it can be neither opened nor made.
  LogitStore(const std::filesystem::path& folder, const std::string& identity, const Shape& shape);
  ~LogitStore();
  LogitStore(const LogitStore&) = delete;
  LogitStore& operator=(const LogitStore&) = delete;

  // Whether the folder holds rows of this identity.
  static bool holds_rows(const std::filesystem::path& folder, const std::string& identity);

  // What lies in a folder, whether a run may use it or not. Rows that are not sound are never read, nor are
  // those that the index does not name: a kill or a full disk may have left them. Fault::input if the folder
  // has another identity than its name says.
  struct Soundness {
    int64_t rows = 0, sound = 0;  // those that the index names and that are not there are no sound ones
    bool hashed = true;           // the index says itself whether it is damaged
    std::string index = {};       // what is wrong with it; empty: nothing
  };
  static Soundness inspect(const std::filesystem::path& folder);

  // The row of an image's view; false if it is not there or not sound. `to`: classes floats.
  bool find(int64_t image, int view, float* to) const;

  // How many of these slots have a row; one per slot of the table.
  int64_t count(const std::vector<bool>& wanted) const;

  // Adds a row per slot, slots.size() x classes floats. False, and error() says why, if they were not stored:
  // the disk is full, or `rows` would be longer than the limit.
  bool append(std::span<const int64_t> slots, const float* logits);
  void set_limit(uint64_t bytes) { limit_ = bytes; }
  const std::string& error() const { return error_; }

  static int64_t slot(int64_t image, int view) { return image * view_count + view; }
  // Rows in the file, sound or not.
  int64_t rows() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  bool give_up(const char* action, int error);

  std::filesystem::path folder_;
  int64_t entry_bytes_ = 0;  // of the index
  Shape shape_;
  uint64_t seed_ = 0;  // of the checksums: rows of another table are not sound here
  uint64_t limit_ = UINT64_MAX;
  std::string error_;
  Descriptor lock_, rows_, index_;
  mutable std::vector<std::byte> row_;
};

// What a value becomes by being stored.
float stored_value(float x, LogitPrecision precision);

// Removes tables in `cache` that are not open, the longest unused first, until all that are left there take
// at most `limit` bytes with `wanted` more; `keep` stays. Returns what is left for `keep`'s rows.
uint64_t make_room(const std::filesystem::path& cache, const std::filesystem::path& keep, uint64_t wanted,
                   uint64_t limit);

}  // namespace retort
