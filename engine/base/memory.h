// How much memory there is.
#pragma once
#include <cstdint>

namespace retort {

// Bytes that this process may use: its share of the machine's memory or, where that is less, of what its
// control groups may have.
int64_t memory_limit();
// Of this machine's memory the others of so many processes use theirs, from now on.
void share_memory(int processes);

}  // namespace retort
