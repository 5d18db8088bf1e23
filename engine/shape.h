// Element types and shapes.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>

namespace retort {

enum class DType : uint8_t { f32, f64, f16, bf16, i32, i64, u8 };

// Bytes of one element.
size_t size_of(DType type);
// "f32", "f64", ...
const char* name_of(DType type);
std::ostream& operator<<(std::ostream& out, DType type);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};

// Up to four extents, outermost first; rank 0 is a scalar. Images are N,H,W,C, convolution weights K,R,S,C
// (output channels, kernel rows, kernel columns, input channels per group), logits B,C.
class Shape {
 public:
  static constexpr int max_rank = 4;

  Shape() = default;
  // Throws if there are more than max_rank extents, one is negative, or the product overflows.
  Shape(std::initializer_list<int64_t> extents) : Shape(extents.begin(), int(extents.size())) {}
  Shape(const int64_t* extents, int rank);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return extents_[size_t(i)]; }
  int64_t size() const;                                          // product of the extents, 1 for rank 0
  int64_t last() const;                                          // innermost extent, 1 for rank 0
  int64_t rows() const { return last() ? size() / last() : 0; }  // size() / last(): "rows of length last()"
  bool operator==(const Shape&) const = default;                 // unused extents are 0

 private:
  std::array<int64_t, max_rank> extents_{};
  int rank_ = 0;
};

// Prints [64, 32, 32, 16].
std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace retort
