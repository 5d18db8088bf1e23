// XXH3 with 64 bits, for files whose hash has to be made right again; harness.py calls it.
#define XXH_INLINE_ALL
#include <xxhash.h>

__attribute__((visibility("default"))) unsigned long long retort_xxh3(const void* data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}
