// The transport over TCP, for processes whose launcher says where the first of them is: torchrun, or srun
// with MASTER_ADDR and MASTER_PORT. No MPI is needed.
#pragma once
#include <memory>

#include "engine/distributed/launch.h"
#include "engine/distributed/transport.h"

namespace retort {

// The first process listens at launch.port; the others find it at launch.address, and each other by the list
// that it gives them. Whoever reaches the port can be taken for a process of the run: it belongs into a
// network that is trusted, as MPI's do. Throws Error(Fault::usage) if the port cannot be had or the address
// is unknown, Error(Fault::lost) naming who has not come after so many seconds.
std::unique_ptr<Transport> open_tcp(const Launch& launch, double seconds = 300);

}  // namespace retort
