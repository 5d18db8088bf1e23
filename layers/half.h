// The 16-bit floats of files, widened exactly.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace retort {

// bfloat16: the upper half of a binary32.
inline float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
inline float from_f16(uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = std::ldexp(float(fraction), -24);  // subnormal, or zero
  return sign ? -magnitude : magnitude;
}

}  // namespace retort
