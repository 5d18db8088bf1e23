// Tensor: a typed, shaped, contiguous view of memory. Trivially copyable; owns nothing. No strides: images
// are N,H,W,C, convolution weights K,R,S,C, everything else row-major.
#pragma once
#include "engine/arena.h"
#include "engine/base/check.h"
#include "engine/shape.h"

namespace retort {

struct Tensor {
  void* data = nullptr;
  Shape shape;
  DType type = DType::f32;

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const { return shape.size(); }
  size_t bytes() const { return size_t(size()) * size_of(type); }
  // The elements; throws if they are not of type T.
  template <class T>
  T* as() const {
    check(type == DTypeOf<T>::value, "Tensor: elements are ", type, ", read as ", DTypeOf<T>::value);
    return static_cast<T*>(data);
  }
  // The same elements under another shape of the same size.
  Tensor reshaped(const Shape& other) const {
    check(other.size() == size(), "Tensor::reshaped: ", shape, " has ", size(), " elements, ", other, " has ",
          other.size());
    return {data, other, type};
  }
  // The elements from `first` on as a tensor of their own, in place.
  Tensor part(int64_t first, const Shape& other) const {
    check(first >= 0 && first + other.size() <= size(), "Tensor::part: ", other, " from element ", first,
          " of ", shape);
    return {static_cast<char*>(data) + first * int64_t(size_of(type)), other, type};
  }
};

// A tensor that owns its memory: view and hold together. Copies share.
struct Array {
  Tensor tensor;
  Hold hold;

  Array() = default;
  Array(Arena& arena, const Shape& shape, DType type) : tensor{nullptr, shape, type} {
    hold = arena.take(tensor.bytes());
    tensor.data = hold.data();
  }
  explicit operator bool() const { return bool(tensor); }
  operator const Tensor&() const { return tensor; }
};

// Where a kernel puts a result, and how. An empty sink (no data) means "not wanted".
enum class Write { overwrite, accumulate };
struct Sink {
  Tensor to;
  Write write = Write::overwrite;

  Sink() = default;
  Sink(const Tensor& t, Write w = Write::overwrite) : to(t), write(w) {}
  Sink(const Array& a) : to(a.tensor) {}
  explicit operator bool() const { return bool(to); }
  bool accumulates() const { return write == Write::accumulate; }
};

}  // namespace retort
