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
  const auto l = launch({{"RANK", "5"},
                         {"WORLD_SIZE", "8"},
                         {"LOCAL_RANK", "1"},
                         {"LOCAL_WORLD_SIZE", "4"},
                         {"MASTER_ADDR", "node1"},
                         {"MASTER_PORT", "29500"}});
  ASSERT_TRUE(l);
  EXPECT_EQ(l->by, Launch::By::torchrun);
  EXPECT_EQ(l->rank, 5);
  EXPECT_EQ(l->size, 8);
  EXPECT_EQ(l->local_rank, 1);
  EXPECT_EQ(l->local_size, 4);
  EXPECT_EQ(l->address, "node1");
  EXPECT_EQ(l->port, 29500);
}

// torchrun itself listens at the port that it names.
TEST(Launch, TakesThePortBehindTorchrunsOwn) {
  std::map<std::string, std::string> environment = {{"RANK", "0"},
                                                    {"WORLD_SIZE", "2"},
                                                    {"MASTER_ADDR", "node1"},
                                                    {"MASTER_PORT", "29500"},
                                                    {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
  EXPECT_EQ(launch(environment)->port, 29501);
  environment["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  EXPECT_EQ(launch(environment)->port, 29500);
  environment["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  environment["MASTER_PORT"] = "65535";
  testing::expect_contains(refusal(environment), "a number from 1 to 65534");
}

// A script says for srun where the first process is; MPI's launchers know by themselves.
TEST(Launch, SlurmsFirstProcessIsFoundWhereTheScriptSays) {
  std::map<std::string, std::string> environment = {
      {"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"MASTER_ADDR", "node1"}};
  EXPECT_EQ(launch(environment)->port, 0);
  environment["MASTER_PORT"] = "29500";
  EXPECT_EQ(launch(environment)->port, 29500);
  EXPECT_EQ(launch(environment)->address, "node1");
  environment.insert({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}});
  EXPECT_EQ(launch(environment)->port, 0);
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

// srun starts one torchrun on each machine.
TEST(Launch, TorchrunInsideSlurmIsTorchrun) {
  std::map<std::string, std::string> environment = {
      {"RANK", "5"},         {"WORLD_SIZE", "8"},          {"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29500"},
      {"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}};
  const auto l = launch(environment);
  ASSERT_TRUE(l);
  EXPECT_EQ(l->by, Launch::By::torchrun);
  EXPECT_EQ(l->rank, 5);
  // As many machines as processes, which torchrun counts in its own order.
  environment["SLURM_STEP_NUM_TASKS"] = "8";
  environment["TORCHELASTIC_RUN_ID"] = "none";
  EXPECT_EQ(launch(environment)->rank, 5);
}

// One variable of a launcher alone, of each.
TEST(Launch, RefusesWhatIsIncomplete) {
  using Pair = std::pair<const char*, const char*>;
  for (const auto& [rank, size] :
       {Pair{"RANK", "WORLD_SIZE"}, Pair{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        Pair{"PMI_RANK", "PMI_SIZE"}}) {
    testing::expect_contains(refusal({{rank, "0"}}), std::string("has ") + rank + ", but no " + size);
    testing::expect_contains(refusal({{size, "4"}}), std::string("has ") + size + ", but no " + rank);
    testing::expect_contains(refusal({{size, "1"}}), std::string("but no ") + rank);
  }
  testing::expect_contains(refusal({{"SLURM_STEP_NUM_TASKS", "4"}}), "but no SLURM_PROCID");
}

TEST(Launch, TorchrunSaysWhereTheFirstProcessIs) {
  const std::map<std::string, std::string> two = {{"RANK", "0"}, {"WORLD_SIZE", "2"}};
  const auto with = [&](std::map<std::string, std::string> more) {
    more.insert(two.begin(), two.end());
    return refusal(more);
  };
  testing::expect_contains(with({}), "but no MASTER_ADDR");
  testing::expect_contains(with({{"MASTER_ADDR", "a"}}), "has MASTER_ADDR, but no MASTER_PORT");
  testing::expect_contains(with({{"MASTER_PORT", "29500"}}), "has MASTER_PORT, but no MASTER_ADDR");
  testing::expect_contains(with({{"MASTER_ADDR", ""}, {"MASTER_PORT", "29500"}}), "an empty MASTER_ADDR");
  for (const char* port : {"", "0", "65536", "ssh"})
    testing::expect_contains(with({{"MASTER_ADDR", "a"}, {"MASTER_PORT", port}}),
                             std::string("MASTER_PORT=") + port + ", expected a number from 1 to 65535");
  EXPECT_EQ(launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}})->size, 1);  // it waits for nobody
}

TEST(Launch, RefusesWhatIsNoNumberOrTooLarge) {
  struct Set {
    const char *rank, *size, *local_rank, *local_size;
  };
  for (const Set& set : {Set{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
                         Set{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                             "OMPI_COMM_WORLD_LOCAL_SIZE"},
                         Set{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
                         Set{"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr}}) {
    const std::string rank = set.rank, size = set.size, local = set.local_rank;
    testing::expect_contains(refusal({{rank, "4"}, {size, "4"}}), rank + "=4, expected a number from 0 to 3");
    for (const char* no_number : {"one", "", "-1", "1x"})
      testing::expect_contains(refusal({{rank, no_number}, {size, "4"}}), rank + "=" + no_number);
    testing::expect_contains(refusal({{rank, "0"}, {size, "0"}}), size + "=0");
    testing::expect_contains(refusal({{rank, "2"}, {size, "4"}, {local, "3"}}),
                             local + "=3, expected a number from 0 to 2");
    if (!set.local_size) continue;
    testing::expect_contains(refusal({{rank, "2"}, {size, "4"}, {local, "2"}, {set.local_size, "2"}}),
                             std::string(set.local_size) + "=2, expected a number from 3 to 4");
  }
}

TEST(Launch, RefusesWhatContradicts) {
  const auto torchrun = [](const char* rank, const char* size, std::map<std::string, std::string> more) {
    more.insert({{"RANK", rank}, {"WORLD_SIZE", size}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "29500"}});
    return refusal(more);
  };
  testing::expect_contains(torchrun("0", "4", {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}}),
                           "rank 0 of 4 (torchrun) and rank 0 of 2 (mpirun of Open MPI)");
  testing::expect_contains(torchrun("0", "2", {{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}), "rank 1 of 2");
  testing::expect_contains(refusal({{"OMPI_COMM_WORLD_RANK", "0"},
                                    {"OMPI_COMM_WORLD_SIZE", "2"},
                                    {"PMI_RANK", "0"},
                                    {"PMI_SIZE", "3"}}),
                           "rank 0 of 3");
  // Left over in the shell that srun was called in: each would believe to be rank 0.
  testing::expect_contains(torchrun("0", "8", {{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "8"}}),
                           "rank 3 of 8");
  testing::expect_contains(torchrun("0", "2", {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "8"}}),
                           "rank 0 of 8");
}

}  // namespace
}  // namespace retort
