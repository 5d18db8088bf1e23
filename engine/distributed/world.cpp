#include "engine/distributed/world.h"

#include <cstdlib>

#include "engine/base/memory.h"
#include "engine/cpu/thread_pool.h"
#include "engine/cuda/cuda.h"
#include "engine/distributed/launch.h"
#include "engine/distributed/mpi/mpi.h"
#include "engine/distributed/tcp.h"

namespace retort {

// Of more the messages between machines are small and many.
constexpr int most_in_one_level = 16;

std::unique_ptr<Communicator> join_world() {
  const std::optional<Launch> launch =
      launch_of([](const char* name) -> const char* { return std::getenv(name); });
  if (!launch || launch->size == 1) return nullptr;
  auto world = std::make_unique<Communicator>(launch->port > 0 ? open_tcp(*launch) : open_mpi(*launch));
  if (world->size() > most_in_one_level) world->set_machine(ranks_of_machine(world->gather(this_host())));
  share_cpus(launch->local_size);
  share_memory(launch->local_size);
  share_gpus(launch->local_rank, launch->local_size);
  return world;
}

}  // namespace retort
