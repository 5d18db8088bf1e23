#include "engine/base/memory.h"

#include <unistd.h>

#include <algorithm>

#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

int64_t memory_limit() {
  int64_t limit = int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGESIZE));
  // cgroup v2, "max" or a number; v1, a number, a huge one for none.
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::string content = read_text_if_readable(file).value_or("");
    while (!content.empty() && content.back() == '\n') content.pop_back();
    int64_t own = 0;
    if (parse(content, own) && own > 0) limit = std::min(limit, own);
  }
  return std::max<int64_t>(limit, 0);
}

}  // namespace retort
