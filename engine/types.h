// From a run-time element type to a compile-time one.
#pragma once
#include "engine/base/check.h"
#include "engine/kernels/numbers/half.h"
#include "engine/shape.h"

namespace retort {

// Calls f.operator()<T>() with T = float or double; throws for another type, naming the operation.
template <class F>
void with_real_type(DType type, const char* operation, F f) {
  switch (type) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f64:
      return f.template operator()<double>();
    default:
      fail(Fault::internal, operation, ": elements are ", type, ", expected f32 or f64");
  }
}

inline bool is_16_bit(DType type) {
  return type == DType::f16 || type == DType::bf16;
}

// An element of such a type.
inline uint16_t bits16_of(DType type, float x) {
  return type == DType::f16 ? half_of(x) : bfloat_of(x);
}

inline float float_of_bits16(DType type, uint16_t bits) {
  return type == DType::f16 ? float_of(bits) : float_of_bfloat(bits);
}

// What sums over elements of a type are kept in: f32 for those of 16 bits.
inline DType wide_type(DType type) {
  return is_16_bit(type) ? DType::f32 : type;
}

}  // namespace retort
