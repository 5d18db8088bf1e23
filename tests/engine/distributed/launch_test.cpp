// Which process of how many the environment says.
#include "engine/distributed/launch.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/base/check.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

std::optional<Launch> launch(const std::map<std::string, std::string>& environment) {
  return launch_of([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const std::map<std::string, std::string>& environment) {
  try {
    launch(environment);
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::usage);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

TEST(Launch, NoLauncherNoLaunch) {
  EXPECT_FALSE(launch({{"PATH", "/bin"}, {"MASTER_ADDR", "a"}}));
}

TEST(Launch, Torchrun) {
  const auto l = launch({{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"}});
  ASSERT_TRUE(l);
  EXPECT_EQ(l->by, Launch::By::torchrun);
  EXPECT_EQ(l->rank, 5);
  EXPECT_EQ(l->size, 8);
  EXPECT_EQ(l->local_rank, 1);
  EXPECT_EQ(l->local_size, 4);
}

TEST(Launch, OpenMpiAndMpich) {
  const auto open = launch({{"OMPI_COMM_WORLD_RANK", "1"},
                            {"OMPI_COMM_WORLD_SIZE", "2"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
  ASSERT_TRUE(open);
  EXPECT_EQ(open->by, Launch::By::open_mpi);
  EXPECT_EQ(open->local_size, 2);
  const auto mpich =
      launch({{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "4"}});
  ASSERT_TRUE(mpich);
  EXPECT_EQ(mpich->by, Launch::By::mpich);
  EXPECT_EQ(mpich->size, 4);
}

// In a batch script and in salloc's shell these are set, and there is one process.
TEST(Launch, AnAllocationOfSlurmIsNoStep) {
  EXPECT_FALSE(launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "0"}}));
  const auto step = launch({{"SLURM_PROCID", "3"},
                            {"SLURM_NTASKS", "8"},
                            {"SLURM_STEP_NUM_TASKS", "6"},
                            {"SLURM_LOCALID", "1"},
                            {"SLURM_STEP_TASKS_PER_NODE", "2(x3)"}});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->size, 6);
  EXPECT_EQ(step->local_size, 2);
}

// mpirun starts its daemons as a step of its own.
TEST(Launch, MpirunInsideSlurmIsMpirun) {
  const auto l = launch({{"OMPI_COMM_WORLD_RANK", "7"},
                         {"OMPI_COMM_WORLD_SIZE", "8"},
                         {"SLURM_PROCID", "1"},
                         {"SLURM_STEP_NUM_TASKS", "2"}});
  ASSERT_TRUE(l);
  EXPECT_EQ(l->rank, 7);
}

TEST(Launch, RefusesWhatIsIncompleteOrContradicts) {
  testing::expect_contains(refusal({{"RANK", "0"}}), "but no WORLD_SIZE");
  testing::expect_contains(refusal({{"WORLD_SIZE", "4"}}), "but no RANK");
  testing::expect_contains(refusal({{"OMPI_COMM_WORLD_SIZE", "4"}}), "but no OMPI_COMM_WORLD_RANK");
  testing::expect_contains(refusal({{"SLURM_STEP_NUM_TASKS", "4"}}), "but no SLURM_PROCID");
  testing::expect_contains(refusal({{"RANK", "4"}, {"WORLD_SIZE", "4"}}),
                           "RANK=4, expected a number from 0 to 3");
  testing::expect_contains(refusal({{"RANK", "one"}, {"WORLD_SIZE", "4"}}), "RANK=one");
  testing::expect_contains(refusal({{"RANK", "0"}, {"WORLD_SIZE", "0"}}), "WORLD_SIZE=0");
  testing::expect_contains(refusal({{"RANK", "0"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "4"}}),
                           "LOCAL_RANK=4");
  testing::expect_contains(
      refusal(
          {{"RANK", "0"}, {"WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}}),
      "rank 0 of 4 (torchrun) and rank 0 of 2 (mpirun of Open MPI)");
  testing::expect_contains(
      refusal({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}), "rank 1 of 2");
}

}  // namespace
}  // namespace retort
