// Tells AddressSanitizer which bytes of a pool are not to be touched; nothing without it.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define RETORT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RETORT_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef RETORT_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
namespace retort {
inline void poison(void* data, size_t bytes) {
  __asan_poison_memory_region(data, bytes);
}
inline void unpoison(void* data, size_t bytes) {
  __asan_unpoison_memory_region(data, bytes);
}
}  // namespace retort
#else
namespace retort {
inline void poison(void*, size_t) {}
inline void unpoison(void*, size_t) {}
}  // namespace retort
#endif
