// A command that several processes run together, started by mpirun or srun.
#pragma once
#include <functional>

#include "engine/distributed/communicator.h"

namespace retort {

// Runs it and returns its exit code. Where it fails on one process alone, all are ended, with that code;
// where all agree on what is wrong, the one that it comes from says it. world: null for one process, whose
// errors pass.
int on_processes(Communicator* world, const std::function<int()>& command);

// Whether this process speaks to the user.
bool speaks(const Communicator* world);

// Where the progress of one that does not goes to: no descriptor, and what cannot be written is dropped.
inline constexpr int nowhere = -1;

}  // namespace retort
