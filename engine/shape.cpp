#include "engine/shape.h"

#include <ostream>

#include "engine/base/check.h"

namespace retort {

size_t size_of(DType type) {
  switch (type) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
  }
  fail(Fault::internal, "size_of: unknown element type ", int(type));
}

const char* name_of(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
  }
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, DType type) {
  return out << name_of(type);
}

Shape::Shape(const int64_t* extents, int rank) : rank_(rank) {
  check(rank <= max_rank, "Shape: ", rank, " extents, at most ", max_rank, " are supported");
  int64_t product = 1;
  for (int i = 0; i < rank; ++i) {
    check(extents[i] >= 0, "Shape: extent ", i, " is ", extents[i], ", expected 0 or more");
    check(!__builtin_mul_overflow(product, extents[i], &product), "Shape: the number of elements overflows");
    extents_[size_t(i)] = extents[i];
  }
}

int64_t Shape::size() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= (*this)[i];
  return product;
}

int64_t Shape::last() const {
  return rank_ ? (*this)[rank_ - 1] : 1;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

}  // namespace retort
