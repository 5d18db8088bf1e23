// Runs that differ in the seed alone, in the folders beside seeds.toml.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "distill/study/runs.h"

namespace retort {

// Runs that differ in the seed alone, settings.seed and those after it, in folder/seed-K; seeds.toml beside
// them says how many. `parallel` of them run at once, a thread and a device each, and share the CPU threads
// out; their numbers are those of runs one by one. One that diverges is among the results. Ends early if a
// signal stops one: the last summary says so. force: runs of other seeds that lie there are deleted, too.
std::vector<Summary> start_seeds(const RunSettings& settings, int64_t seeds,
                                 const std::filesystem::path& folder, bool force, Session& session,
                                 int parallel = 1);
std::vector<Summary> resume_seeds(const std::filesystem::path& folder, const ResumeOptions& options,
                                  Session& session, int parallel = 1);

// Whether the folder is one of start_seeds.
bool holds_seeds(const std::filesystem::path& folder);

}  // namespace retort
