#include "engine/base/cache_folder.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

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

std::string digest_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ uint8_t(c)) * 0x100000001b3u;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

void write_cached(const std::filesystem::path& file, const std::string& bytes) {
  try {
    write_file(file, bytes);
  } catch (const Error&) {  // the next run works it out again
  }
}

}  // namespace retort
