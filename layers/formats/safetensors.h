// Weights and run states in files: the safetensors format (u64 header length, JSON header, raw little-endian
// data; github.com/huggingface/safetensors), with hashes so that a flipped bit is noticed.
//
// Two metadata entries are ours. xxh3_tensors: the hash of every tensor's bytes, in the order of the data,
// separated by spaces. xxh3_header: the hash of the header as it stands in the file, padding included, with
// the 16 digits of this very hash replaced by spaces. Other programs ignore them; files without them load.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/shape.h"

namespace retort {

// A tensor to be written: refers to the caller's bytes (dense, little-endian, outermost extent first).
struct TensorView {
  std::string name;  // UTF-8
  DType type = DType::f32;
  std::vector<int64_t> shape;  // any rank; empty for a scalar
  std::span<const std::byte> data;
};

template <class T>
TensorView view_of(std::string name, std::vector<int64_t> shape, std::span<const T> values) {
  return {std::move(name), DTypeOf<T>::value, std::move(shape), std::as_bytes(values)};
}

// A tensor that was read.
struct HostTensor {
  std::string name;
  DType type = DType::f32;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;

  // The elements; a type other than T is Fault::input.
  template <class T>
  std::span<const T> values() const {
    check(type == DTypeOf<T>::value, Fault::input, "tensor '", name, "' is ", type, ", expected ",
          DTypeOf<T>::value);
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  TensorView view() const { return {name, type, shape, data}; }
};

struct SafeTensors {
  std::map<std::string, std::string> metadata;  // without the two hashes
  std::vector<HostTensor> tensors;              // in the order of their data
  struct LeftOut {
    std::string name, why;  // "fc.weight" "has elements of type I16, ..."
  };
  std::vector<LeftOut> left_out;   // what is there but no tensor of ours
  std::vector<std::string> notes;  // what was decided while reading, for the user
  bool verified = false;           // the file carries hashes, and they are right

  const HostTensor* find(std::string_view name) const;  // nullptr if absent
};

// The most bytes of a tensor's name in a file from elsewhere: names are compared and stripped again and
// again, and those of networks have a tenth of it.
inline constexpr size_t longest_tensor_name = 1000;

// Strict: whatever is not exactly a safetensors file with right hashes is Fault::input, in one line that
// names the file, the byte or tensor, what was found and what was expected. Tensors of the format's other
// types are left out; BOOL is u8.
SafeTensors read_safetensors(const std::filesystem::path& path);

// The same from memory; `name` stands for the file in messages.
SafeTensors parse_safetensors(std::span<const std::byte> file, const std::string& name);

// The metadata alone, without reading the tensors: the header's hash is checked, theirs are not.
std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path);

// Writes atomically; `keep` as in AtomicFile. The order of `tensors` does not matter, their names differ.
// Returns how many bytes that were.
int64_t write_safetensors(const std::filesystem::path& path,
                          const std::map<std::string, std::string>& metadata, std::vector<TensorView> tensors,
                          const std::filesystem::path& keep = {});

}  // namespace retort
