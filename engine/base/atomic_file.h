// Files that are complete or not there: readers never see half a file, whatever kills the writer.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/descriptor.h"

namespace retort {

// Writes to a temporary file in the folder of `path`; commit() makes it durable and then, in one step, the
// file of that name. Without commit() nothing remains. Failures are Fault::write and name path and reason.
// Something that is no regular file (/dev/null, a pipe) is written to directly and never replaced; a
// symbolic link keeps pointing to the file that is replaced.
class AtomicFile {
 public:
  // keep: the file that is replaced stays under this name, in the same folder. At every instant `path` or
  // `keep` is complete (both, where the file system has hard links).
  explicit AtomicFile(const std::filesystem::path& path, const std::filesystem::path& keep = {});
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> data);
  void write(std::string_view data);
  void commit();

 private:
  [[noreturn]] void fail_with(int error, std::string_view action) const;
  void keep_the_one_before();

  std::filesystem::path path_, keep_, temporary_;  // temporary_ is empty when written to directly
  uint64_t written_ = 0;
  Descriptor file_;
};

void write_file(const std::filesystem::path& path, std::string_view data);

// Makes the names in a folder durable: files made, renamed or removed there. Failures are Fault::write.
void sync_folder(const std::filesystem::path& folder);

// Appends to a file, which is made if missing, in one write, and makes it durable. If that fails
// (Fault::write) the file is as long as before.
void append_to_file(const std::filesystem::path& path, std::string_view data);

// Whether nobody has the folder: it is not there, or holds at most what killed writers left.
bool holds_nothing(const std::filesystem::path& folder);

// Whether a file of this name is what a killed writer left, or a living one's temporary file.
bool is_temporary_name(std::string_view name);

// Removes what killed writers left in `folder`. Only for who holds the folder's lock: a living writer's
// temporary file would go as well.
void remove_abandoned_files(const std::filesystem::path& folder);

}  // namespace retort
