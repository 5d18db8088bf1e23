// Scalar functions that vectorise on the host and compile for the device.
#pragma once
#include <math.h>

#include <cstdint>
#include <cstring>

#include "engine/kernels/host_device.h"

namespace retort {

// e^x in f32, error below 2 units in the last place; 0 below -87.3 (results under the smallest normal number
// are flushed), infinity above 88.7, NaN for NaN. Range reduction by Cody and Waite, x = n ln 2 + r,
// then the Taylor polynomial of degree 7 on |r| <= ln 2 / 2. No branches, so that loops vectorise.
RETORT_HD float exponential(float x) {
  const float clamped = x < -88.0f ? -88.0f : (x > 89.0f ? 89.0f : x);
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = clamped * 1.44269504088896341f + magic;
  const float n = shifted - magic;
  const float r = (clamped - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t exponent = int32_t(n);
  // 2^n in two factors, since n may be 128.
  const int32_t half = exponent >> 1;
  const int32_t bits1 = (half + 127) << 23, bits2 = (exponent - half + 127) << 23;
  float scale1, scale2;
  memcpy(&scale1, &bits1, 4);
  memcpy(&scale2, &bits2, 4);
  const float y = p * scale1 * scale2;
  return x < -87.3f ? 0.0f : (x == x ? y : x);
}

RETORT_HD double exponential(double x) {
  return ::exp(x);
}

RETORT_HD float logarithm(float x) {
  return ::logf(x);
}
RETORT_HD double logarithm(double x) {
  return ::log(x);
}
// log(1 + x)
RETORT_HD float log_one_plus(float x) {
  return ::log1pf(x);
}
RETORT_HD double log_one_plus(double x) {
  return ::log1p(x);
}
RETORT_HD float square_root(float x) {
  return ::sqrtf(x);
}
RETORT_HD double square_root(double x) {
  return ::sqrt(x);
}
template <class T>
RETORT_HD T absolute(T x) {
  return x < T(0) ? -x : x;
}

// One class's part of KL(p || q), given x = log p - log q: p x - p + q = p (x - 1 + e^-x), whose sum over the
// classes is the divergence, since p and q both sum to 1. Unlike p x, no part is negative, so that nothing
// cancels and f32 keeps its digits where p and q nearly agree; there x - 1 + e^-x is taken by its Taylor
// series.
template <class T>
RETORT_HD T kl_part(T p, T q, T x) {
  constexpr int last = sizeof(T) == 4 ? 8 : 14;
  T series = T(1);
#pragma GCC unroll 16
  for (int n = last; n >= 3; --n) series = T(1) - x * T(1.0 / n) * series;
  return absolute(x) < T(0.25) ? T(0.5) * p * x * x * series : p * x - p + q;
}

}  // namespace retort
