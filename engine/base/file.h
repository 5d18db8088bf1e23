// Reading files, whose size is checked before anything is believed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/descriptor.h"

namespace retort {

// An existing regular file, open for reading. Every failure is a Fault::input that names the file.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  int64_t size() const { return size_; }
  // Reads exactly `bytes` more bytes, in one call to the system: not for reading byte by byte.
  void read(void* to, int64_t bytes);
  // The first 1 KiB, or what there is, wherever reading has come to.
  std::vector<std::byte> beginning() const;
  // The whole of it; a file larger than `limit` bytes is refused.
  std::vector<uint8_t> read_all(int64_t limit);

 private:
  std::string name_;
  Descriptor file_;
  int64_t size_ = 0;
  int64_t position_ = 0;
};

// A pipe is waited for where a user may have typed its name; in a folder it would be waited for in vain.
enum class Pipes { refused, waited_for };

// The whole of a regular file, or of a pipe. Fault::input, naming path and reason, if it is missing,
// unreadable, a folder, or longer than `limit` bytes (of a pipe, which may never end, at most 1 GiB). Stopped
// if a signal came while a pipe was waited for.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t limit = uint64_t{1} << 40,
                                 Pipes pipes = Pipes::refused);
std::string read_text_file(const std::filesystem::path& path, uint64_t limit = uint64_t{1} << 30);

// The same, or nothing: for what a program can do without, as a cache or what a system says of itself.
std::optional<std::string> read_text_if_readable(const std::filesystem::path& path,
                                                 uint64_t limit = uint64_t{1} << 30);

// The program was told to stop while it waited for others.
class Stopped : public std::exception {
 public:
  explicit Stopped(int signal) : signal_(signal) {}
  const char* what() const noexcept override { return "stopped by a signal"; }
  int signal() const { return signal_; }

 private:
  int signal_;
};

// Who catches signals says here how waits learn of one: `received` gives its number, or 0. nullptr: nobody does.
void tell_waits_of_signals(int (*received)());

// What a folder is called, "photos" for "data/photos/", the real name for "."; empty for the root.
std::string name_of_folder(const std::filesystem::path& folder);

// 153700000 as "153,700,000".
std::string with_commas(int64_t number);

}  // namespace retort
