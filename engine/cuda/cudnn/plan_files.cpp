#include "engine/cuda/cudnn/plan_files.h"

#include <filesystem>

#include "engine/base/atomic_file.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

CudnnPlanFiles::CudnnPlanFiles(const std::string& folder, const std::string& context, CudnnPlansOf of)
    : folder_(folder), context_(context), of_(of) {
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
  const std::string path = path_of(problem);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  const std::optional<std::string> bytes = read_text_if_readable(path);
  if (!bytes) return unusable(path, "cannot be read");
  const std::string head = head_of(problem);
  const size_t hash_end = head.size() + 16;
  if (bytes->size() < hash_end + 2 || bytes->compare(0, head.size(), head) != 0 || (*bytes)[hash_end] != '\n')
    return unusable(path, "is no plan for this problem, or its beginning is damaged");
  const std::string plan = bytes->substr(hash_end + 1), found = digest_of(plan);
  if (bytes->compare(head.size(), 16, found) != 0)
    return unusable(
        path, text("is damaged: its plan's hash is ", found, ", expected ", bytes->substr(head.size(), 16)));
  return plan;
}

void CudnnPlanFiles::refused(const std::string& problem) const {
  unusable(path_of(problem), "holds a plan that cuDNN does not take on this device");
}

std::optional<std::string> CudnnPlanFiles::unusable(const std::string& path, const std::string& why) const {
  check(of_ == CudnnPlansOf::cache, Fault::input, path, ": ", why,
        "; the run's bits hang on its plans of cuDNN: put back a copy of the file, or remove it to go on "
        "with a new "
        "plan, whose results may differ in their last bits");
  return std::nullopt;
}

void CudnnPlanFiles::write(const std::string& problem, const std::string& plan) const {
  if (folder_.empty()) return;
  write_cached(path_of(problem), text(head_of(problem), digest_of(plan), '\n', plan));
}

void CudnnPlanFiles::write_times(const std::string& problem, const std::vector<std::string>& candidates) const {
  if (folder_.empty()) return;
  const std::string path = text(folder_, "/candidates.csv");
  std::error_code error;
  std::string lines;
  if (!std::filesystem::exists(path, error)) lines = "problem,engine,cores,workspace,us,chosen\n";
  for (const std::string& candidate : candidates) lines += text('"', problem, "\",", candidate, '\n');
  try {
    append_to_file(path, lines);
  } catch (const Error&) {  // a cache that cannot be written is none
  }
}

}  // namespace retort
