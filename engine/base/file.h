// Reading input files whose size is checked before anything is believed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace retort {

// An existing regular file, open for reading. Every failure is a Fault::input that names the file.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  int64_t size() const { return size_; }
  // Reads exactly `bytes` more bytes.
  void read(void* to, int64_t bytes);
  // The whole of it; a file larger than `limit` bytes is refused.
  std::vector<uint8_t> read_all(int64_t limit);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string name_;
  std::unique_ptr<std::FILE, Close> file_;
  int64_t size_ = 0;
  int64_t position_ = 0;
};

// 153700000 as "153,700,000".
std::string with_commas(int64_t number);

}  // namespace retort
