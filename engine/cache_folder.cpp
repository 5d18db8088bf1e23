#include "engine/cache_folder.h"

#include <cstdlib>

namespace retort {

std::filesystem::path cache_folder() {
  const auto set = [](const char* variable) -> const char* {
    const char* value = std::getenv(variable);
    return value && *value ? value : nullptr;
  };
  if (const char* own = set("RETORT_CACHE")) return own;
  if (const char* cache = set("XDG_CACHE_HOME")) return std::filesystem::path(cache) / "retort";
  if (const char* home = set("HOME")) return std::filesystem::path(home) / ".cache" / "retort";
  return {};
}

}  // namespace retort
