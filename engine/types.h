// From a run-time element type to a compile-time one.
#pragma once
#include "engine/check.h"
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

// What sums over elements of a type are kept in: f32 for those of 16 bits.
inline DType wide_type(DType type) {
  return type == DType::f16 || type == DType::bf16 ? DType::f32 : type;
}

}  // namespace retort
