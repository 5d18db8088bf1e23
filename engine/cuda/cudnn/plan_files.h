// A folder of plans: one file a problem, so that a network is planned once for a machine and not once for a
// run.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace retort {

class CudnnPlanFiles {
 public:
  // folder: made if absent; empty, or one that cannot be made: nothing is kept, since plans can be made again
  // in every run. context: everything besides the problem that a plan depends on (cuDNN's version, the
  // device, the options).
  CudnnPlanFiles(const std::string& folder, const std::string& context);

  // What was written for the problem under the same context. Nothing if there is no such file, or it is
  // damaged, or another context or program wrote it: it is planned again and the file replaced.
  std::optional<std::string> read(const std::string& problem) const;
  // Readers see the old file or the whole new one. A file that cannot be written is left out: plans are made
  // again.
  void write(const std::string& problem, const std::string& plan) const;

  // Adds a line for each candidate that was measured to candidates.csv in the folder: the problem, engine, cores, bytes
  // of workspace, microseconds, "chosen". What was measured is the only account of why an engine was taken.
  void write_times(const std::string& problem, const std::vector<std::string>& candidates) const;

  std::string path_of(const std::string& problem) const;

 private:
  std::string head_of(const std::string& problem) const;

  std::string folder_, context_;
};

}  // namespace retort
