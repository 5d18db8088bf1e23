#include "engine/base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "engine/base/control_group.h"

namespace retort {
namespace {

std::atomic<int> sharing{1};  // processes among which the memory is shared out

}  // namespace

int64_t memory_limit() {
  const int64_t machine = int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGESIZE));
  return std::max<int64_t>(std::min(machine, group_memory().value_or(machine)) / sharing, 0);
}

void share_memory(int processes) {
  sharing = std::max(1, processes);
}

}  // namespace retort
