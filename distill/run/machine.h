// The machine that a run is made on, for env.json.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace retort {

struct Machine {
  std::string processor;     // as the system names it: "AMD EPYC 9R14"; its architecture where it does not
  int cores = 0;             // that the system has
  int usable_cores = 0;      // that this process may use, by affinity and quota
  int64_t memory_bytes = 0;  // that the system has
};

Machine this_machine();

// The libraries that a backend's description names ("oneDNN 2.6.3, AVX2, 2 threads"), by name, with the C
// library.
std::map<std::string, std::string> libraries_of(const std::string& description);

}  // namespace retort
