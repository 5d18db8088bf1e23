#include "engine/distributed/world.h"

#include <cstdlib>

#include "engine/cpu/thread_pool.h"
#include "engine/distributed/launch.h"
#include "engine/distributed/mpi/mpi.h"

namespace retort {

std::unique_ptr<Communicator> join_world() {
  const std::optional<Launch> launch =
      launch_of([](const char* name) -> const char* { return std::getenv(name); });
  if (!launch || launch->size == 1) return nullptr;
  check(launch->by != Launch::By::torchrun, Fault::device, "the environment says that torchrun started ",
        launch->size,
        " processes (WORLD_SIZE), and processes exchange gradients over MPI: start them with mpirun or srun, "
        "or say "
        "--world off to train in this process alone");
  auto world = std::make_unique<Communicator>(open_mpi(*launch));
  share_cpus(launch->local_size);
  return world;
}

}  // namespace retort
