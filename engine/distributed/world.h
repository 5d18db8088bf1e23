// The processes that a launcher started for one run.
#pragma once
#include <memory>

#include "engine/distributed/communicator.h"

namespace retort {

// Joins the others, and takes this process's share of the machine's CPUs and memory, and its GPU (share_cpus,
// share_memory, share_gpus). Null where this process is alone: without a launcher, or the only one that it
// started. Faults are those of launch_of() and open_mpi().
std::unique_ptr<Communicator> join_world();

}  // namespace retort
