#include "engine/base/file.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "engine/base/check.h"

namespace retort {
namespace fs = std::filesystem;

namespace {

constexpr uint64_t longest_pipe = uint64_t{1} << 30;
std::atomic<int (*)()> received_signal{nullptr};

// Until there is something to read, or the pipe's other end is closed.
void wait_for_pipe(const Descriptor& file) {
  pollfd wait{file.number(), POLLIN, 0};
  for (;;) {
    const auto received = received_signal.load();
    if (const int signal = received ? received() : 0) throw Stopped(signal);
    const int ready = ::poll(&wait, 1, 100);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return;
  }
}

template <class Bytes>
Bytes read_whole(const fs::path& path, uint64_t limit, Pipes pipes) {
  const Descriptor in(path, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (!in.is_open() || ::fstat(in.number(), &status) != 0)
    fail(Fault::input, path.string(), ": cannot be opened: ", reason_of(errno));
  check(!S_ISDIR(status.st_mode), Fault::input, path.string(), ": is a folder, expected a file");
  check(S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode), Fault::input, path.string(),
        ": is neither a file nor a pipe");
  const bool pipe = S_ISFIFO(status.st_mode);
  check(!pipe || pipes == Pipes::waited_for, Fault::input, path.string(), ": is a pipe, expected a file");
  if (pipe) limit = std::min(limit, longest_pipe);
  const auto too_long = [&](uint64_t found) {
    fail(Fault::input, path.string(), ": has ", found, " bytes or more, expected at most ", limit);
  };
  if (uint64_t(status.st_size) > limit) too_long(uint64_t(status.st_size));

  // One byte more than the size, so that the read that finds the end needs no larger buffer.
  Bytes data(S_ISREG(status.st_mode) ? size_t(status.st_size) + 1 : size_t{1} << 16, {});
  size_t used = 0;
  for (;;) {
    if (used == data.size()) data.resize(2 * data.size());
    if (pipe) wait_for_pipe(in);
    const int64_t got = in.read(data.data() + used, data.size() - used);
    if (got < 0 && pipe && errno == EAGAIN) continue;
    if (got < 0) fail(Fault::input, path.string(), ": byte ", used, " cannot be read: ", reason_of(errno));
    if (got == 0) break;
    used += size_t(got);
    if (used > limit) too_long(used);
  }
  data.resize(used);
  return data;
}

}  // namespace

void tell_waits_of_signals(int (*received)()) {
  received_signal = received;
}

InputFile::InputFile(const fs::path& path) : name_(path.string()) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  check(fs::exists(status), Fault::input, name_, ": no such file");
  check(fs::is_regular_file(status), Fault::input, name_, ": not a regular file",
        fs::is_directory(status) ? " but a folder" : "");
  file_ = Descriptor(path, O_RDONLY);
  check(file_.is_open(), Fault::input, name_, ": cannot be opened: ", reason_of(errno));
  const auto size = fs::file_size(path, error);
  check(!error, Fault::input, name_, ": its size cannot be read: ", error.message());
  size_ = int64_t(size);
}

void InputFile::read(void* to, int64_t bytes) {
  char* next = static_cast<char*>(to);
  int64_t found = 0;
  errno = 0;
  for (int64_t got = 1; got > 0 && found < bytes; found += std::max<int64_t>(got, 0))
    got = file_.read(next + found, size_t(bytes - found));
  check(found == bytes, Fault::input, name_, ": found ", with_commas(found), " bytes at byte ",
        with_commas(position_), ", expected ", with_commas(bytes), errno ? ": " : "",
        errno ? reason_of(errno) : "");
  position_ += bytes;
}

std::vector<std::byte> InputFile::beginning() const {
  std::vector<std::byte> bytes(size_t(std::min<int64_t>(size_, 1024)));
  if (!file_.read_at(bytes.data(), bytes.size(), 0)) bytes.clear();
  return bytes;
}

std::vector<uint8_t> InputFile::read_all(int64_t limit) {
  check(size_ <= limit, Fault::input, name_, ": ", with_commas(size_), " bytes, expected at most ",
        with_commas(limit));
  std::vector<uint8_t> bytes(static_cast<size_t>(size_));
  read(bytes.data(), size_);
  return bytes;
}

std::vector<std::byte> read_file(const fs::path& path, uint64_t limit, Pipes pipes) {
  return read_whole<std::vector<std::byte>>(path, limit, pipes);
}

std::string read_text_file(const fs::path& path, uint64_t limit) {
  return read_whole<std::string>(path, limit, Pipes::refused);
}

std::optional<std::string> read_text_if_readable(const fs::path& path, uint64_t limit) {
  try {
    return read_text_file(path, limit);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string name_of_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::string with_commas(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string result;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result;
}

}  // namespace retort
