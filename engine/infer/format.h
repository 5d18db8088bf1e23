// The network file of the embeddable library. Everything is little-endian and of fixed size, so that a reader
// without a parser can check it completely, and weights can be packed from where they lie:
//
//   header     file_header bytes
//   values     value_bytes each: u32 height, width, channels, 0 of one image; a vector has height = width = 1
//   nodes      node_bytes each, 16 u32: kind, flags, number of inputs, inputs[4], add, output, weight, bias,
//   kernel,
//              stride, pad, groups, first. In order: a node reads the input and what earlier ones wrote.
//   tensors    tensor_bytes each: u32 type, rank, extents[4], u64 offset in the file, u32 scales, u32 0
//   data       each tensor at a multiple of 64
//   names      of the classes in the order of the logits, UTF-8, each with a zero behind it; may be missing
//
// Header: 8 bytes magic, u32 version, u32 CRC-32 of all that follows it, u64 bytes of the file, u32 numbers
// of values, nodes and tensors, u32 input and output value, u32 0, 32 bytes name of the model
// (zero-terminated), f32 mean[3] and std[3], u32 test_resize (0: not said), u32 bytes and u64 offset of the
// names, zeros. Convolution weights are K,R,S,C/groups, linear ones out,in. An int8 tensor w has one f32
// scale per output channel in the tensor `scales`: w[k] scales[k].
//
// A container of its own, not safetensors: reading that safely needs a JSON parser, and the graph a second
// grammar in one of its strings.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace retort::infer {

constexpr uint8_t magic[8] = {'R', 'E', 'T', 'O', 'R', 'T', 0x1a, '\n'};
constexpr uint32_t format_version = 1;
constexpr size_t file_header = 128, value_bytes = 16, node_bytes = 64, tensor_bytes = 40, data_alignment = 64;
constexpr size_t at_version = 8, at_crc = 12, at_size = 16, at_counts = 24, at_name = 48, at_mean = 80,
                 at_std = 92, at_resize = 104, at_names = 108;
constexpr size_t name_bytes = 32;
constexpr uint32_t none = 0xffffffff;

// Limits: what a reader plans with stays small, and no product overflows.
constexpr uint32_t most_values = 4096, most_nodes = 4096, most_tensors = 8192, most_inputs = 4;
constexpr uint32_t most_extent = 1 << 16;             // height, width, channels
constexpr uint64_t most_elements = 1 << 26;           // of a value
constexpr uint64_t most_weights = uint64_t(1) << 30;  // of a tensor
constexpr uint32_t most_window = 64;                  // kernel, stride, padding
constexpr uint32_t most_name_bytes = 1 << 24;         // of all classes together

enum class Kind : uint32_t {
  conv = 0,         // relu?(conv + bias + add)
  linear = 1,       // weight x + bias
  scale_shift = 2,  // relu?(weight x + bias + add), per channel
  max_pool = 3,
  average_pool = 4,  // counts the padding
  global_average = 5,
  relu = 6,
  add = 7,    // of two inputs
  slice = 8,  // channels from `first`, as many as the output has
  concat = 9,
  pad_channels = 10,  // x from channel `first` of the output, zeros around it
  shuffle = 11        // in `groups` groups
};
constexpr uint32_t kinds = 12;
constexpr uint32_t flag_relu = 1;

enum class Type : uint32_t { f32 = 0, f16 = 1, i8 = 2 };

struct Value {
  uint32_t height, width, channels;
  uint64_t elements() const { return uint64_t(height) * width * channels; }
  bool operator==(const Value& o) const {
    return height == o.height && width == o.width && channels == o.channels;
  }
};

struct Node {
  Kind kind;
  bool relu;
  uint32_t inputs, input[most_inputs];
  uint32_t add, output, weight, bias;
  uint32_t kernel, stride, pad, groups, first;
};

struct Tensor {
  Type type;
  uint32_t rank, extents[4];
  uint64_t offset;
  uint32_t scales;
  uint64_t elements() const;
  uint64_t bytes() const;  // in the file
};

// CRC-32 (IEEE 802.3).
uint32_t crc32(const uint8_t* data, size_t bytes);

inline uint32_t load32(const uint8_t* p) {
  return uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24;
}
inline uint64_t load64(const uint8_t* p) {
  return load32(p) | uint64_t(load32(p + 4)) << 32;
}
float load_float(const uint8_t* p);

// Receives one line about what is wrong.
struct Message {
  char* text;
  size_t bytes;
  void set(const char* format, ...) const __attribute__((format(printf, 2, 3)));
};

enum class Check { good, bad, newer };

// A network file in memory. After open() everything in it may be relied on: counts, indices, shapes that fit,
// tensors that lie inside.
class File {
 public:
  Check open(const void* data, size_t bytes, const Message& message);

  uint32_t values() const { return values_; }
  uint32_t nodes() const { return nodes_; }
  uint32_t tensors() const { return tensors_; }
  uint32_t input() const { return input_; }
  uint32_t output() const { return output_; }
  const char* name() const { return reinterpret_cast<const char*>(data_ + at_name); }
  float mean(int channel) const { return load_float(data_ + at_mean + 4 * channel); }
  float std(int channel) const { return load_float(data_ + at_std + 4 * channel); }
  uint32_t test_resize() const { return load32(data_ + at_resize); }
  uint32_t names_bytes() const { return load32(data_ + at_names); }
  const char* names() const { return reinterpret_cast<const char*>(data_ + load64(data_ + at_names + 4)); }
  Value value(uint32_t index) const;
  Node node(uint32_t index) const;
  Tensor tensor(uint32_t index) const;

  // Elements of a tensor where they lie, if they can be read so; else null.
  const float* in_place(const Tensor& tensor) const;
  // The tensor as f32.
  void decode(const Tensor& tensor, float* to) const;
  // The last node that reads the value; nodes() if it is the output.
  uint32_t last_use(uint32_t value) const;
  uint64_t macs(const Node& node) const;

 private:
  Check check_header(size_t bytes, const Message& message);
  bool check_tensor(uint32_t index, size_t bytes, const Message& message) const;
  bool check_node(uint32_t index, const Message& message) const;
  bool check_pictures(const Message& message) const;
  bool is_vector(uint32_t tensor, uint32_t extent) const;
  bool is_finite(const Tensor& tensor) const;

  const uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
  uint32_t values_ = 0, nodes_ = 0, tensors_ = 0, input_ = 0, output_ = 0;
};

}  // namespace retort::infer
