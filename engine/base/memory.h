// How much memory there is.
#pragma once
#include <cstdint>

namespace retort {

// Bytes that this process may use: the machine's memory or, in a container, the cgroup's limit.
int64_t memory_limit();

}  // namespace retort
