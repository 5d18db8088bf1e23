// 16-bit floating-point numbers in memory, IEEE 754 binary16 and bfloat16: conversion from and to float,
// rounding to nearest even.
#pragma once
#include <cstdint>
#include <cstring>

#include "engine/kernels/host_device.h"

namespace retort {

// As std::bit_cast, on a device too.
RETORT_HD uint32_t bits_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
RETORT_HD float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

RETORT_HD uint16_t half_of(float x) {
  const uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00);   // NaN
  if (magnitude >= 0x477ff000) return uint16_t(sign | 0x7c00);  // 65520 and more round to infinity
  if (magnitude < 0x38800000) {
    // Subnormal: a unit in the last place of 0.5f is that of all subnormals, 2^-24, so the sum rounds as
    // wanted.
    const float sum = float_of_bits(magnitude) + 0.5f;
    return uint16_t(sign | (bits_of_float(sum) - 0x3f000000));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  return uint16_t(sign | (magnitude - 0x38000000) >> 13);
}

RETORT_HD float float_of(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent > 0) return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = float(mantissa) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

// The upper half of a float.
RETORT_HD uint16_t bfloat_of(float x) {
  const uint32_t bits = bits_of_float(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 0x40);  // NaN stays one
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

RETORT_HD float float_of_bfloat(uint16_t x) {
  return float_of_bits(uint32_t(x) << 16);
}

}  // namespace retort
