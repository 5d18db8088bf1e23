// A fuzz target reads bytes as one kind of file that strangers give the program. An Error that the program
// documents is a right answer, so is success; anything else is a finding: an internal error, another
// exception, memory that runs out, a report of a sanitizer.
//
// Checksums, sizes and magic numbers are repaired first: else nothing that lies behind them is ever reached.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retort::fuzz {

using Bytes = std::span<const std::byte>;

struct Target {
  const char* name;
  void (*read)(Bytes bytes);
};

// All of them, by name.
const std::vector<Target>& targets();
const Target* find_target(std::string_view name);

// What a target does with an input, with documented errors as successes. Throws for a finding.
void try_input(const Target& target, Bytes bytes);

inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// The first bytes as a number, taken away from `bytes`; zero where they are missing.
template <class T>
T take(Bytes& bytes) {
  T value{};
  const size_t size = bytes.size() < sizeof value ? bytes.size() : sizeof value;
  std::memcpy(&value, bytes.data(), size);
  bytes = bytes.subspan(size);
  return value;
}

// A file in memory, for readers that want a path. One per place in the code: its content is replaced.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::filesystem::path& holding(Bytes bytes);
  const std::filesystem::path& path() const { return path_; }

 private:
  int file_;
  std::filesystem::path path_;
};

// A folder in memory where the system has one, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, Bytes bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace retort::fuzz
