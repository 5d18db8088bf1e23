// The hash by which files notice a flipped bit and runs compare their weights: XXH3, 64 bits. It finds
// accidents, not forgeries.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace retort {

uint64_t hash_number_of(std::span<const std::byte> data);

// The same as 16 lower-case hexadecimal digits.
std::string hash_of(std::span<const std::byte> data);

}  // namespace retort
