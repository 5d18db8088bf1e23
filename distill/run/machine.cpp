#include "distill/run/machine.h"

#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include <algorithm>
#include <sstream>
#include <thread>

#include "engine/base/processor.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

Machine this_machine() {
  Machine machine;
  machine.processor = processor_name();
  machine.cores = int(std::max(1u, std::thread::hardware_concurrency()));
  if (const long online = ::sysconf(_SC_NPROCESSORS_ONLN); online > 0) machine.cores = int(online);
  machine.usable_cores = cpu_quota();
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) machine.memory_bytes = int64_t(pages) * page;
  return machine;
}

std::map<std::string, std::string> libraries_of(const std::string& description) {
  std::map<std::string, std::string> libraries;
  std::istringstream parts(description);
  for (std::string part; std::getline(parts, part, ',');) {
    // "NAME 1.2.3" and nothing else.
    std::istringstream words(part);
    std::string name, version, more;
    words >> name >> version;
    const bool is_version = version.find('.') != std::string::npos &&
                            version.find_first_not_of("0123456789.") == std::string::npos;
    if (is_version && !(words >> more)) libraries[name] = version;
  }
#ifdef __GLIBC__
  libraries["glibc"] = gnu_get_libc_version();
#endif
  return libraries;
}

}  // namespace retort
