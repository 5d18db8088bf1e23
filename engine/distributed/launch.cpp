#include "engine/distributed/launch.h"

#include <algorithm>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

// The names that one launcher uses. Of local ones a missing one is no fault.
struct Names {
  Launch::By by;
  const char *rank, *size, *local_rank, *local_size;
  bool either = true;  // one of rank and size alone says that the launcher was there
};

const std::vector<Names>& known() {
  static const std::vector<Names> all = {
      {Launch::By::torchrun, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
      {Launch::By::open_mpi, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
       "OMPI_COMM_WORLD_LOCAL_SIZE"},
      {Launch::By::mpich, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
      // A batch script has SLURM_PROCID too, but no step.
      {Launch::By::slurm, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
       "SLURM_STEP_TASKS_PER_NODE", false}};
  return all;
}

int number_of(const Variables& variables, const char* name, int least, int end) {
  const char* value = variables(name);
  int number = 0;
  check(parse(std::string(value), number) && number >= least && number < end, Fault::usage,
        "the environment has ", name, "=", value, ", expected a number from ", least, " to ", end - 1,
        "; unset it, or say --world off to train in this process alone");
  return number;
}

// Of "4(x2),3" the tasks of the node that has local rank `local_rank`: where nodes differ, the fewest that
// fit.
int tasks_per_node(const std::string& text, int local_rank) {
  int fewest = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find(',', at);
    if (end == text.npos) end = text.size();
    int tasks = 0;
    const size_t bracket = text.find('(', at);
    if (parse(text.substr(at, std::min(end, bracket) - at), tasks) && tasks > local_rank &&
        (fewest == 0 || tasks < fewest))
      fewest = tasks;
    at = end + 1;
  }
  return std::max(fewest, local_rank + 1);
}

std::optional<Launch> by(const Names& names, const Variables& variables) {
  const char *rank = variables(names.rank), *size = variables(names.size);
  if (!rank && !size) return {};
  if (!names.either && !size) return {};
  const auto expect_both = [&](const char* one, const char* other) {
    const bool has_one = variables(one) != nullptr, has_other = variables(other) != nullptr;
    check(has_one && has_other, Fault::usage, "the environment has ",
          has_one     ? one
          : has_other ? other
                      : names.size,
          ", but no ", has_one ? other : one, ", which ", name_of(names.by),
          " sets too; set both, unset them, or say --world off to train in this process alone");
  };
  expect_both(names.rank, names.size);
  Launch launch{.by = names.by};
  launch.size = number_of(variables, names.size, 1, 1 << 16);
  launch.rank = number_of(variables, names.rank, 0, launch.size);
  // Those of a machine are counted in the order of all: a local rank is never the larger one.
  if (variables(names.local_rank))
    launch.local_rank = number_of(variables, names.local_rank, 0, launch.rank + 1);
  launch.local_size = launch.local_rank + 1;
  if (const char* local = variables(names.local_size)) {
    launch.local_size = names.by == Launch::By::slurm
                            ? tasks_per_node(local, launch.local_rank)
                            : number_of(variables, names.local_size, launch.local_rank + 1, launch.size + 1);
  }
  const char *address = variables("MASTER_ADDR"), *port = variables("MASTER_PORT");
  const bool torchrun = names.by == Launch::By::torchrun;
  if (launch.size > 1 && (torchrun || (names.by == Launch::By::slurm && address && port))) {
    expect_both("MASTER_ADDR", "MASTER_PORT");
    check(*address != 0, Fault::usage, "the environment has an empty MASTER_ADDR, expected the host of the ",
          "first process");
    // torchrun itself may listen there, and says so: then the next port is ours.
    const char* taken = variables("TORCHELASTIC_USE_AGENT_STORE");
    const int next = torchrun && taken && std::string(taken) == "True" ? 1 : 0;
    launch.address = address;
    launch.port = number_of(variables, "MASTER_PORT", 1, (1 << 16) - next) + next;
  }
  return launch;
}

std::string disagreement(const Launch& one, const Launch& other) {
  return text("the environment says rank ", one.rank, " of ", one.size, " (", name_of(one.by), ") and rank ",
              other.rank, " of ", other.size, " (", name_of(other.by),
              "); one of them is left over: unset it, or say --world off to train in this process alone");
}

// What a step of Slurm says beside another launcher, whose daemons its processes may be: there are any number
// of them for mpirun, one on each machine for torchrun, which says that it is there. Variables that somebody
// has set by hand are those of all processes of the step alike.
void check_step(const Variables& variables, const Launch& launch, const Launch& step) {
  if (launch.by != Launch::By::torchrun || variables("TORCHELASTIC_RUN_ID")) return;
  check(step.size < launch.size || (step.size == launch.size && step.rank == launch.rank), Fault::usage,
        disagreement(launch, step));
}

}  // namespace

std::string name_of(Launch::By by) {
  switch (by) {
    case Launch::By::torchrun:
      return "torchrun";
    case Launch::By::open_mpi:
      return "mpirun of Open MPI";
    case Launch::By::mpich:
      return "mpirun of MPICH";
    case Launch::By::slurm:
      return "srun";
  }
  return "";
}

std::optional<Launch> launch_of(const Variables& variables) {
  std::optional<Launch> first;
  for (const Names& names : known()) {
    const std::optional<Launch> launch = by(names, variables);
    if (!launch) continue;
    if (!first) {
      first = launch;
      continue;
    }
    // mpirun and torchrun inside of a step leave the step's variables.
    if (launch->by == Launch::By::slurm)
      check_step(variables, *first, *launch);
    else
      check(launch->rank == first->rank && launch->size == first->size, Fault::usage,
            disagreement(*first, *launch));
  }
  return first;
}

}  // namespace retort
