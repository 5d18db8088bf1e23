// Limits of control groups as Linux writes them down, in a file system of the test's own.
#include "engine/base/control_group.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace retort::testing {
namespace {

TEST(ControlGroup, LimitsOfAJobAreSeen) {
  TempFolder root;
  EXPECT_EQ(group_memory(root.path()), std::nullopt);
  EXPECT_EQ(group_cpus(root.path()), std::nullopt);
  root.write("proc/self/cgroup", "0::/system.slice/slurm.scope/job_7/step_0\n");
  const std::string job = "sys/fs/cgroup/system.slice/slurm.scope/job_7/";
  root.write("sys/fs/cgroup/system.slice/memory.max", "max\n");
  root.write("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");
  EXPECT_EQ(group_memory(root.path()), std::nullopt);
  EXPECT_EQ(group_cpus(root.path()), std::nullopt);
  root.write(job + "memory.max", "3221225472\n");
  root.write(job + "cpu.max", "250000 100000\n");
  root.write(job + "step_0/memory.max", "max\n");
  EXPECT_EQ(group_memory(root.path()), int64_t{3} << 30) << "of a group around the process's own";
  EXPECT_EQ(group_cpus(root.path()), 2.5);
  root.write(job + "step_0/memory.max", "1073741824\n");
  root.write(job + "step_0/cpu.max", "50000 100000\n");
  EXPECT_EQ(group_memory(root.path()), int64_t{1} << 30);
  EXPECT_EQ(group_cpus(root.path()), 0.5);
  // A group beside it.
  root.write("sys/fs/cgroup/system.slice/other/memory.max", "4096\n");
  EXPECT_EQ(group_memory(root.path()), int64_t{1} << 30);
}

TEST(ControlGroup, OfVersionOne) {
  TempFolder root;
  root.write("proc/self/cgroup",
             "12:cpuset:/\n9:cpu,cpuacct:/slurm/job_7\n4:memory:/slurm/job_7\n1:name=systemd:/a:b\n");
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.write("sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "2147483648\n");
  root.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(group_memory(root.path()), int64_t{2} << 30);
  EXPECT_EQ(group_cpus(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu/slurm/job_7/cpu.cfs_quota_us", "400000\n");
  root.write("sys/fs/cgroup/cpu/slurm/job_7/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(group_cpus(root.path()), 4.0);
}

// A container sees its own group as the root, and may be told of the host's path.
TEST(ControlGroup, OfAContainer) {
  TempFolder root;
  root.write("proc/self/cgroup", "0::/../../docker/0123abcd\n");
  root.write("sys/fs/cgroup/memory.max", "536870912\n");
  root.write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(group_memory(root.path()), int64_t{1} << 29);
  EXPECT_EQ(group_cpus(root.path()), 1.0);
}

}  // namespace
}  // namespace retort::testing
