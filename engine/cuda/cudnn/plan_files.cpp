#include "engine/cuda/cudnn/plan_files.h"

#include <filesystem>

#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

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
  return text(folder_, '/', digest_of(head_of(problem)), ".plan");
}

std::optional<std::string> CudnnPlanFiles::read(const std::string& problem) const {
  if (folder_.empty()) return std::nullopt;
  const std::string bytes = read_text_if_readable(path_of(problem)).value_or("");
  const std::string head = head_of(problem);
  const size_t hash_end = head.size() + 16;
  if (bytes.size() < hash_end + 2 || bytes.compare(0, head.size(), head) != 0) return std::nullopt;
  const std::string plan = bytes.substr(hash_end + 1);
  if (bytes[hash_end] != '\n' || bytes.compare(head.size(), 16, digest_of(plan)) != 0) return std::nullopt;
  return plan;
}

void CudnnPlanFiles::write(const std::string& problem, const std::string& plan) const {
  if (folder_.empty()) return;
  write_cached(path_of(problem), text(head_of(problem), digest_of(plan), '\n', plan));
}

void CudnnPlanFiles::write_times(const std::string& problem, const std::vector<std::string>& candidates) const {
  if (folder_.empty()) return;
  const std::string path = text(folder_, "/candidates.csv");
  std::string lines = read_text_if_readable(path).value_or("");
  if (lines.empty()) lines = "problem,engine,cores,workspace,us,chosen\n";
  for (const std::string& candidate : candidates) lines += text('"', problem, "\",", candidate, '\n');
  write_cached(path, lines);
}

}  // namespace retort
