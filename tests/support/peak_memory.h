// How much memory some work takes, as the system counts it.
#pragma once
#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

namespace retort::testing {

// Instrumented programs take several times what they ask for.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool counts_memory = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool counts_memory = false;
#else
inline constexpr bool counts_memory = true;
#endif
#else
inline constexpr bool counts_memory = true;
#endif

// Bytes that this process holds at the peak of `work` above what it held before; nothing where that cannot be
// told.
inline std::optional<int64_t> peak_of(const std::function<void()>& work) {
  const auto entry = [](const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      int64_t kib = 0;
      if (word == name && status >> kib) return kib * 1024;
    }
    return int64_t(0);
  };
  ::malloc_trim(0);
  const bool reset = bool(std::ofstream("/proc/self/clear_refs") << "5" << std::flush);
  const int64_t before = entry("VmRSS:");
  work();
  if (!counts_memory || !reset || before == 0) return std::nullopt;
  return entry("VmHWM:") - before;
}

}  // namespace retort::testing
