// What the control groups (cgroup, v1 and v2) that this process is in let it have: a container's, a Slurm
// job's, a systemd scope's. Limits hold for a group and all in it, so those of the groups around it count
// too.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

namespace retort {

// The least of their limits on memory, in bytes; nothing where there is none. root: of the file system, for
// tests.
std::optional<int64_t> group_memory(const std::filesystem::path& root = "/");

// The least of their limits on CPU time, in CPUs.
std::optional<double> group_cpus(const std::filesystem::path& root = "/");

}  // namespace retort
