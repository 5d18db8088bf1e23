// The door to the operating system for the content of files: every file of ours is opened, read, written and
// locked through a Descriptor, so that there is one place where such a call can fail.
#pragma once
#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace retort {

// Functions that return an int return 0, or errno. Signals interrupt none of them.
class Descriptor {
 public:
  Descriptor() = default;
  // flags and mode: of open(2), O_CLOEXEC added. Where the file cannot be opened, is_open() is false and
  // errno says why.
  explicit Descriptor(const std::filesystem::path& file, int flags, unsigned mode = 0666);
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  bool is_open() const { return file_ >= 0; }
  int number() const { return file_; }
  int close();

  // Up to `bytes` bytes: how many, 0 at the end of the file, -1 with errno.
  int64_t read(void* to, size_t bytes) const;
  // All of them, or the reason why not; ENOSPC where the system gives none. done: grows by what was written.
  int write(const void* from, size_t bytes, uint64_t* done = nullptr) const;
  int write_at(const void* from, size_t bytes, int64_t at) const;
  // Exactly so many; false at an error and beyond the end.
  bool read_at(void* to, size_t bytes, int64_t at) const;

  int64_t size() const;  // -1 with errno
  int truncate(int64_t bytes) const;
  int sync() const;

  enum class Lock { shared, exclusive };
  int lock(Lock kind) const;      // waits
  int try_lock(Lock kind) const;  // EWOULDBLOCK where another holds it
  void unlock() const;

 private:
  int file_ = -1;
};

// What errno means, "No space left on device".
std::string reason_of(int error);

}  // namespace retort
