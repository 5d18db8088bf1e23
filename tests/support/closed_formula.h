// The numbers of tests/data/closed_formula.py, recomputed: reference files store a formula instead of inputs.
//   uniform(name, i) = 2 floor(mix(fnv1a64(name) + i) / 2^(64 - bits)) / 2^bits - 1, in [-1, 1)
//   value(name, i)   = shift + scale * uniform(name, i)
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace retort {

// FNV-1a, 64 bits.
inline uint64_t fnv1a64(std::string_view text) {
  uint64_t h = 0xCBF29CE484222325u;
  for (const char c : text) h = (h ^ uint64_t(static_cast<unsigned char>(c))) * 0x100000001B3u;
  return h;
}

// One element; hash = fnv1a64(name).
inline double closed_uniform(uint64_t hash, uint64_t i, int bits = 22) {
  uint64_t x = hash + i + 0x9E3779B97F4A7C15u;  // from here on the finaliser of splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return 2.0 * double(x >> (64 - bits)) / double(uint64_t{1} << bits) - 1.0;
}

// count elements of a tensor, row-major.
inline std::vector<double> closed_values(std::string_view name, int64_t count, double scale = 1,
                                         double shift = 0, int bits = 22) {
  const uint64_t hash = fnv1a64(name);
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = shift + scale * closed_uniform(hash, i, bits);
  return values;
}

}  // namespace retort
