// A folder of plans: one file a problem, so that a network is planned once for a machine and not once for a
// run.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace retort {

// What a file that cannot be used means. In a cache: nothing, it is planned again and the file replaced. In a
// run's folder: an error, since another plan could give other bits than the run has had.
enum class CudnnPlansOf { cache, run };

class CudnnPlanFiles {
 public:
  // folder: made if absent; empty, or one that cannot be made: nothing is kept, since plans can be made again
  // in every run. context: everything besides the problem that a plan depends on (cuDNN's version, the
  // device, the options).
  CudnnPlanFiles(const std::string& folder, const std::string& context,
                 CudnnPlansOf of = CudnnPlansOf::cache);

  // What was written for the problem under the same context. Nothing if there is no such file; or, in a
  // cache, if it is damaged. Fault::input that names the file if a run's is.
  std::optional<std::string> read(const std::string& problem) const;
  // For a plan that was read and that cuDNN does not take: as if its file were damaged.
  void refused(const std::string& problem) const;
  // Readers see the old file or the whole new one. A file that cannot be written is left out: plans are made
  // again.
  void write(const std::string& problem, const std::string& plan) const;

  // Adds a line for each candidate that was tried to candidates.csv in the folder: the problem, engine,
  // cores, bytes of workspace, microseconds, and "chosen" or why it cannot be. It is the only account of why
  // an engine was taken, or none.
  void write_times(const std::string& problem, const std::vector<std::string>& candidates) const;

  std::string path_of(const std::string& problem) const;

 private:
  std::string head_of(const std::string& problem) const;

  std::optional<std::string> unusable(const std::string& path, const std::string& why) const;

  std::string folder_, context_;
  CudnnPlansOf of_;
};

}  // namespace retort
