#include "engine/base/processor.h"

#include <sys/utsname.h>

#include <sstream>
#include <string_view>

#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

// x86 has "model name" in /proc/cpuinfo; aarch64 often names a board only.
std::string processor_name() {
  std::istringstream file(read_text_if_readable("/proc/cpuinfo").value_or(""));
  std::string hardware;
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view key = trimmed(std::string_view(line).substr(0, colon)),
                           value = trimmed(std::string_view(line).substr(colon + 1));
    if (key == "model name") return std::string(value);
    if (key == "Hardware" || key == "Model") hardware = value;
  }
  if (!hardware.empty()) return hardware;
  utsname system{};
  return ::uname(&system) == 0 ? system.machine : "";
}

}  // namespace retort
