#include "engine/base/descriptor.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace retort {

namespace {

// What the call returns, made again as long as signals interrupt it.
template <class Call>
auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

int error_of(int result) {
  return result < 0 ? errno : 0;
}

}  // namespace

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

Descriptor::Descriptor(const std::filesystem::path& file, int flags, unsigned mode)
    : file_(uninterrupted([&] { return ::open(file.c_str(), flags | O_CLOEXEC, mode); })) {}

Descriptor::Descriptor(Descriptor&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

Descriptor::~Descriptor() {
  if (file_ >= 0) ::close(file_);
}

int Descriptor::close() {
  // Closed whatever close() says, so it is not called again.
  const int error = error_of(::close(std::exchange(file_, -1)));
  return error == EINTR ? 0 : error;
}

int64_t Descriptor::read(void* to, size_t bytes) const {
  return uninterrupted([&] { return ::read(file_, to, bytes); });
}

int Descriptor::write(const void* from, size_t bytes, uint64_t* done) const {
  const char* next = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t written = uninterrupted([&] { return ::write(file_, next, bytes); });
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    if (done) *done += uint64_t(written);
    next += written;
    bytes -= size_t(written);
  }
  return 0;
}

int Descriptor::write_at(const void* from, size_t bytes, int64_t at) const {
  const char* next = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t written = uninterrupted([&] { return ::pwrite(file_, next, bytes, off_t(at)); });
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    next += written;
    at += written;
    bytes -= size_t(written);
  }
  return 0;
}

bool Descriptor::read_at(void* to, size_t bytes, int64_t at) const {
  char* next = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = uninterrupted([&] { return ::pread(file_, next, bytes, off_t(at)); });
    if (got <= 0) return false;
    next += got;
    at += got;
    bytes -= size_t(got);
  }
  return true;
}

int64_t Descriptor::size() const {
  struct stat status {};
  return ::fstat(file_, &status) == 0 ? int64_t(status.st_size) : -1;
}

int Descriptor::truncate(int64_t bytes) const {
  return error_of(uninterrupted([&] { return ::ftruncate(file_, off_t(bytes)); }));
}

int Descriptor::sync() const {
  return error_of(uninterrupted([&] { return ::fsync(file_); }));
}

int Descriptor::lock(Lock kind) const {
  return error_of(uninterrupted([&] { return ::flock(file_, kind == Lock::shared ? LOCK_SH : LOCK_EX); }));
}

int Descriptor::try_lock(Lock kind) const {
  return error_of(
      uninterrupted([&] { return ::flock(file_, (kind == Lock::shared ? LOCK_SH : LOCK_EX) | LOCK_NB); }));
}

void Descriptor::unlock() const {
  ::flock(file_, LOCK_UN);
}

}  // namespace retort
