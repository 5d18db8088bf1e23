// NumPy's .npy files: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "engine/base/check.h"
#include "engine/shape.h"

namespace retort {

struct NpyArray {
  DType type = DType::f32;     // f32, f64, f16, i32, i64 or u8
  std::vector<int64_t> shape;  // outermost first; empty for a scalar
  std::vector<std::byte> data;

  int64_t size() const;  // elements
  bool is_real() const;  // f32, f64 or f16
  // The elements of one of those types in C order.
  std::vector<double> reals() const;

  // The elements in C order. T must be the type's own, or Fault::internal.
  template <class T>
  std::span<const T> values() const {
    check(DTypeOf<T>::value == type, "npy: an array of ", type, " read as ", DTypeOf<T>::value);
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

// "f32 [64, 100]"
std::string shape_text(const NpyArray& array);

// Versions 1 to 3, little-endian, C order, up to 8 dimensions. Anything else, and a file longer or shorter
// than its header says, is a Fault::input that names the file.
NpyArray read_npy(const std::filesystem::path& path);

// Writes version 1. Failures are Fault::write; what was written of a new file is removed.
void write_npy(const std::filesystem::path& path, DType type, const std::vector<int64_t>& shape,
               std::span<const std::byte> data);

template <class T>
void write_npy(const std::filesystem::path& path, const std::vector<int64_t>& shape,
               std::span<const T> values) {
  write_npy(path, DTypeOf<T>::value, shape, std::as_bytes(values));
}

}  // namespace retort
