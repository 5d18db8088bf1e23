// Doubles of libraries that the backend opens by name.
#pragma once
#include <map>
#include <string>

namespace retort::emulation {

// What they have, by name; each double puts its own there.
std::map<std::string, void*>& library_functions();

void set_nccl_patience(
    double seconds);  // 60 at first: how long NCCL waits for a rank before it counts as lost

}  // namespace retort::emulation
