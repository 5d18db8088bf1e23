// What a launcher tells its processes in environment variables: which of how many this one is.
#pragma once
#include <functional>
#include <optional>
#include <string>

namespace retort {

struct Launch {
  enum class By { torchrun, open_mpi, mpich, slurm } by = By::torchrun;
  int rank = 0, size = 1;
  int local_rank = 0, local_size = 1;  // among the processes of this machine
  // Where the first process waits for the others; port 0: the launcher's MPI knows.
  std::string address = {};
  int port = 0;
};

// "mpirun of Open MPI"
std::string name_of(Launch::By by);

// The value of an environment variable, null where it is not set: std::getenv.
using Variables = std::function<const char*(const char* name)>;

// Nothing where no launcher has started this process. In this order: RANK and WORLD_SIZE (torchrun); Open
// MPI's and MPICH's variables; Slurm's of a step. Those of an allocation alone do not count: in a batch
// script they are set for a process that has no others to wait for. The first process is found at
// MASTER_ADDR, MASTER_PORT, which torchrun sets and a script may set for srun. Fault::usage if some of them
// are missing, or they contradict each other.
std::optional<Launch> launch_of(const Variables& variables);

}  // namespace retort
