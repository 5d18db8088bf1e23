// A transport over MPI, by the plugin for the launcher's.
#pragma once
#include <memory>

#include "engine/distributed/launch.h"
#include "engine/distributed/transport.h"

namespace retort {

// Fault::device, naming the package, if the plugin or its MPI is not there; Fault::usage if MPI knows another number
// of processes than the launcher's variables: each would train alone.
std::unique_ptr<Transport> open_mpi(const Launch& launch);

}  // namespace retort
