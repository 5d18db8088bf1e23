#include "tests/fuzz/target.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <stdexcept>

#include "engine/base/check.h"

namespace retort::fuzz {

#define RETORT_FUZZ_TARGETS(X)                                                                              \
  X(c_library)                                                                                              \
  X(cifar)                                                                                                  \
  X(cifar_pickle) X(coco) X(counters) X(detector_pickle) X(jpeg) X(label_file) X(lock) X(npy) X(onnx)       \
      X(photo_folder) X(pickle_stream) X(png) X(published_report) X(records) X(report_cache) X(safetensors) \
          X(seeds) X(store_index) X(toml) X(tuning_record) X(yaml) X(zip)

#define RETORT_DECLARE(name) void read_##name(Bytes bytes);
RETORT_FUZZ_TARGETS(RETORT_DECLARE)
#undef RETORT_DECLARE

const std::vector<Target>& targets() {
#define RETORT_LIST(name) {#name, read_##name},
  static const std::vector<Target> all = {RETORT_FUZZ_TARGETS(RETORT_LIST)};
#undef RETORT_LIST
  return all;
}

const Target* find_target(std::string_view name) {
  for (const Target& target : targets())
    if (name == target.name) return &target;
  return nullptr;
}

void try_input(const Target& target, Bytes bytes) {
  try {
    target.read(bytes);
  } catch (const Error& error) {
    if (error.fault() == Fault::internal || std::strlen(error.what()) == 0)
      throw std::logic_error(std::string(target.name) + ": internal error: " + error.what());
  }
}

MemoryFile::MemoryFile() : file_(::memfd_create("retort-fuzz", MFD_CLOEXEC)) {
  if (file_ < 0) throw std::runtime_error("no file in memory can be made");
  path_ = "/proc/self/fd/" + std::to_string(file_);
}

MemoryFile::~MemoryFile() {
  ::close(file_);
}

const std::filesystem::path& MemoryFile::holding(Bytes bytes) {
  const bool written =
      ::ftruncate(file_, 0) == 0 && ::pwrite(file_, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size());
  if (!written) throw std::runtime_error("a file in memory cannot be written");
  return path_;
}

ScratchFolder::ScratchFolder() {
  std::error_code ignored;
  std::string name = std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm" : "/tmp";
  name += "/retort-fuzz-XXXXXX";
  if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder can be made");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void ScratchFolder::write(const std::string& name, Bytes bytes) const {
  std::ofstream(path_ / name, std::ios::binary) << text_of(bytes);
}

}  // namespace retort::fuzz
