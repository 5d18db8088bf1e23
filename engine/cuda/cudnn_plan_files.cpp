#include "engine/cuda/cudnn_plan_files.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/check.h"

namespace retort {
namespace {

// FNV-1a. It names files and notices damage; nobody is kept from forging a file in the user's own folder.
uint64_t hash_of(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ uint8_t(c)) * 0x100000001b3u;
  return hash;
}

std::string hexadecimal(uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

}  // namespace

CudnnPlanFiles::CudnnPlanFiles(const std::string& folder, const std::string& context)
    : folder_(folder), context_(context) {
  if (folder_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) folder_.clear();
}

// File: this text, the hash of the plan in 16 hexadecimal digits, a line break, the plan.
std::string CudnnPlanFiles::head_of(const std::string& problem) const {
  return text("retort cuDNN plan 1\n", context_, '\n', problem, '\n');
}

std::string CudnnPlanFiles::path_of(const std::string& problem) const {
  return text(folder_, '/', hexadecimal(hash_of(head_of(problem))), ".plan");
}

std::optional<std::string> CudnnPlanFiles::read(const std::string& problem) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream file(path_of(problem), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string head = head_of(problem);
  const size_t hash_end = head.size() + 16;
  if (!file || bytes.size() < hash_end + 2 || bytes.compare(0, head.size(), head) != 0) return std::nullopt;
  const std::string plan = bytes.substr(hash_end + 1);
  if (bytes[hash_end] != '\n' || bytes.compare(head.size(), 16, hexadecimal(hash_of(plan))) != 0)
    return std::nullopt;
  return plan;
}

void CudnnPlanFiles::write(const std::string& problem, const std::string& plan) const {
  if (folder_.empty()) return;
  const std::string path = path_of(problem);
  const std::string temporary = text(path, '.', getpid(), '.', reinterpret_cast<uintptr_t>(this));
  bool written = false;
  {
    std::ofstream file(temporary, std::ios::binary);
    file << head_of(problem) << hexadecimal(hash_of(plan)) << '\n' << plan;
    file.close();
    written = bool(file);
  }
  std::error_code error;
  if (written) std::filesystem::rename(temporary, path, error);
  if (!written || error) std::filesystem::remove(temporary, error);
}

}  // namespace retort
