#include "engine/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort {

uint64_t hash_number_of(std::span<const std::byte> data) {
  return XXH3_64bits(data.data(), data.size());
}

std::string hash_of(std::span<const std::byte> data) {
  uint64_t hash = hash_number_of(data);
  std::string digits(16, '0');
  for (size_t i = digits.size(); i-- > 0; hash >>= 4) digits[i] = "0123456789abcdef"[hash & 15];
  return digits;
}

}  // namespace retort
