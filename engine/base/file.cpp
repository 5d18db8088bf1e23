#include "engine/base/file.h"

#include <cerrno>
#include <cstring>

#include "engine/base/check.h"

namespace retort {
namespace fs = std::filesystem;

InputFile::InputFile(const fs::path& path) : name_(path.string()) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  check(fs::exists(status), Fault::input, name_, ": no such file");
  check(fs::is_regular_file(status), Fault::input, name_, ": not a regular file",
        fs::is_directory(status) ? " but a folder" : "");
  file_.reset(std::fopen(name_.c_str(), "rb"));
  check(file_ != nullptr, Fault::input, name_, ": cannot be opened: ", std::strerror(errno));
  const auto size = fs::file_size(path, error);
  check(!error, Fault::input, name_, ": its size cannot be read: ", error.message());
  size_ = int64_t(size);
}

void InputFile::read(void* to, int64_t bytes) {
  if (bytes == 0) return;
  errno = 0;
  const auto got = int64_t(std::fread(to, 1, size_t(bytes), file_.get()));
  check(got == bytes, Fault::input, name_, ": found ", with_commas(got), " bytes at byte ",
        with_commas(position_), ", expected ", with_commas(bytes), errno ? ": " : "",
        errno ? std::strerror(errno) : "");
  position_ += bytes;
}

std::vector<uint8_t> InputFile::read_all(int64_t limit) {
  check(size_ <= limit, Fault::input, name_, ": ", with_commas(size_), " bytes, expected at most ",
        with_commas(limit));
  std::vector<uint8_t> bytes(static_cast<size_t>(size_));
  read(bytes.data(), size_);
  return bytes;
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
