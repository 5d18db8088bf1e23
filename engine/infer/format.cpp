#include "engine/infer/format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/kernels/numbers/half.h"

namespace retort::infer {

uint64_t Tensor::elements() const {
  uint64_t product = 1;
  for (uint32_t i = 0; i < rank; ++i) product *= extents[i];
  return product;
}

uint64_t Tensor::bytes() const {
  return elements() * (type == Type::f32 ? 4 : type == Type::f16 ? 2 : 1);
}

uint32_t crc32(const uint8_t* data, size_t bytes) {
  // Of four bits at a time.
  static constexpr uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < bytes; ++i) {
    crc ^= data[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

float load_float(const uint8_t* p) {
  const uint32_t bits = load32(p);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

void Message::set(const char* format, ...) const {
  if (!text || bytes == 0) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, bytes, format, arguments);
  va_end(arguments);
}

Value File::value(uint32_t index) const {
  const uint8_t* p = data_ + file_header + index * value_bytes;
  return {load32(p), load32(p + 4), load32(p + 8)};
}

Node File::node(uint32_t index) const {
  const uint8_t* p = data_ + file_header + values_ * value_bytes + index * node_bytes;
  const auto field = [p](int i) { return load32(p + 4 * i); };
  return {Kind(field(0)), (field(1) & flag_relu) != 0,
          field(2),       {field(3), field(4), field(5), field(6)},
          field(7),       field(8),
          field(9),       field(10),
          field(11),      field(12),
          field(13),      field(14),
          field(15)};
}

Tensor File::tensor(uint32_t index) const {
  const uint8_t* p = data_ + file_header + values_ * value_bytes + nodes_ * node_bytes + index * tensor_bytes;
  const auto field = [p](int i) { return load32(p + 4 * i); };
  return {Type(field(0)), field(1), {field(2), field(3), field(4), field(5)}, load64(p + 24), field(8)};
}

Check File::check_header(size_t bytes, const Message& message) {
  if (bytes < file_header || memcmp(data_, magic, sizeof magic) != 0) {
    message.set("not a network file: %zu bytes that do not begin as one", bytes);
    return Check::bad;
  }
  if (load32(data_ + at_version) != format_version) {
    message.set("format version %u, this library reads %u", unsigned(load32(data_ + at_version)),
                unsigned(format_version));
    return Check::newer;
  }
  if (load64(data_ + at_size) != bytes) {
    message.set("%zu bytes, the header says %llu", bytes, (unsigned long long)load64(data_ + at_size));
    return Check::bad;
  }
  if (crc32(data_ + at_size, bytes - at_size) != load32(data_ + at_crc)) {
    message.set("the checksum is wrong: the file is damaged");
    return Check::bad;
  }
  const auto count = [this](int i) { return load32(data_ + at_counts + 4 * i); };
  values_ = count(0), nodes_ = count(1), tensors_ = count(2), input_ = count(3), output_ = count(4);
  const bool counted = values_ >= 1 && values_ <= most_values && nodes_ >= 1 && nodes_ <= most_nodes &&
                       tensors_ <= most_tensors && input_ < values_ && output_ < values_ && input_ != output_;
  const uint64_t tables = file_header + uint64_t(values_) * value_bytes + uint64_t(nodes_) * node_bytes +
                          uint64_t(tensors_) * tensor_bytes;
  if (!counted || tables > bytes || !memchr(data_ + at_name, 0, name_bytes)) {
    message.set("the header's counts are out of range");
    return Check::bad;
  }
  return Check::good;
}

bool File::check_tensor(uint32_t index, size_t bytes, const Message& message) const {
  const Tensor t = tensor(index);
  bool good = uint32_t(t.type) <= uint32_t(Type::i8) && t.rank >= 1 && t.rank <= 4;
  uint64_t elements = 1;
  for (uint32_t i = 0; good && i < t.rank; ++i) {
    good = t.extents[i] >= 1 && t.extents[i] <= most_weights && elements * t.extents[i] <= most_weights;
    elements *= t.extents[i];
  }
  const uint64_t size = good ? t.bytes() : 0;
  good = good && t.offset <= bytes && size <= bytes - t.offset;
  if (good && t.type == Type::i8) {
    good = t.scales < tensors_ && tensor(t.scales).type == Type::f32 && is_vector(t.scales, t.extents[0]);
  }
  if (!good) message.set("tensor %u is not well formed or lies outside the file", unsigned(index));
  return good;
}

// What the header says of pictures and classes.
bool File::check_pictures(const Message& message) const {
  const uint32_t resize = test_resize(), size = names_bytes();
  const Value image = value(input_);
  const uint32_t shorter = image.height < image.width ? image.height : image.width;
  if (resize != 0 && (resize < shorter || resize > most_extent)) {
    message.set("pictures are resized to %u, images have %u", unsigned(resize), unsigned(shorter));
    return false;
  }
  if (size == 0) return true;
  const uint64_t offset = load64(data_ + at_names + 4);
  uint64_t names_found = 0;
  const bool inside = size <= most_name_bytes && offset <= bytes_ && size <= bytes_ - offset;
  for (uint32_t i = 0; inside && i < size; ++i) names_found += data_[offset + i] == 0;
  if (!inside || data_[offset + size - 1] != 0 || names_found != value(output_).elements()) {
    message.set("the names of the classes are not well formed or lie outside the file");
    return false;
  }
  return true;
}

// A network with NaN inside may still give answers that look like some.
bool File::is_finite(const Tensor& t) const {
  const uint8_t* from = data_ + t.offset;
  const uint64_t n = t.elements();
  bool finite = true;
  if (t.type == Type::f32) {
    for (uint64_t i = 0; i < n; ++i) finite = finite && (load32(from + 4 * i) & 0x7f800000) != 0x7f800000;
  } else if (t.type == Type::f16) {
    for (uint64_t i = 0; i < n; ++i) finite = finite && (from[2 * i + 1] & 0x7c) != 0x7c;
  } else {
    const uint8_t* scales = data_ + tensor(t.scales).offset;
    for (uint64_t i = 0; i < t.extents[0]; ++i) {
      const float most = 128 * load_float(scales + 4 * i);
      finite = finite && most - most == 0;  // neither NaN nor infinite
    }
  }
  return finite;
}

bool File::is_vector(uint32_t index, uint32_t extent) const {
  if (index >= tensors_) return false;
  const Tensor t = tensor(index);
  return t.rank == 1 && t.extents[0] == extent && t.type != Type::i8;
}

// The extents that follow from a window, or 0.
static uint32_t windowed(uint32_t extent, const Node& n) {
  const uint32_t padded = extent + 2 * n.pad;
  return padded < n.kernel ? 0 : (padded - n.kernel) / n.stride + 1;
}

bool File::check_node(uint32_t index, const Message& message) const {
  const Node n = node(index);
  const auto fits = [&]() {
    if (uint32_t(n.kind) >= kinds || n.inputs < 1 || n.inputs > most_inputs || n.output >= values_)
      return false;
    for (uint32_t i = 0; i < n.inputs; ++i)
      if (n.input[i] >= values_) return false;
    if (n.inputs != 1 && n.kind != Kind::add && n.kind != Kind::concat) return false;
    const Value x = value(n.input[0]), y = value(n.output);
    const bool may_add = n.kind == Kind::conv || n.kind == Kind::scale_shift;
    if (n.add != none && (!may_add || n.add >= values_ || !(value(n.add) == y))) return false;
    const bool same_places = x.height == y.height && x.width == y.width;
    const bool windows = n.kind == Kind::conv || n.kind == Kind::max_pool || n.kind == Kind::average_pool;
    if (windows &&
        (n.kernel < 1 || n.kernel > most_window || n.stride < 1 || n.stride > most_window ||
         n.pad >= n.kernel || windowed(x.height, n) != y.height || windowed(x.width, n) != y.width))
      return false;
    switch (n.kind) {
      case Kind::conv: {
        if (n.weight >= tensors_ || n.groups < 1 || x.channels % n.groups || y.channels % n.groups)
          return false;
        const Tensor w = tensor(n.weight);
        return w.rank == 4 && w.extents[0] == y.channels && w.extents[1] == n.kernel &&
               w.extents[2] == n.kernel && w.extents[3] == x.channels / n.groups &&
               (n.bias == none || is_vector(n.bias, y.channels));
      }
      case Kind::linear: {
        if (n.weight >= tensors_ || x.height * x.width != 1 || y.height * y.width != 1) return false;
        const Tensor w = tensor(n.weight);
        return w.rank == 2 && w.extents[0] == y.channels && w.extents[1] == x.channels &&
               (n.bias == none || is_vector(n.bias, y.channels));
      }
      case Kind::scale_shift:
        return x == y && is_vector(n.weight, y.channels) && is_vector(n.bias, y.channels);
      case Kind::max_pool:
      case Kind::average_pool:
        return x.channels == y.channels && 2 * n.pad <= n.kernel;
      case Kind::global_average:
        return y.height == 1 && y.width == 1 && x.channels == y.channels;
      case Kind::relu:
        return x == y;
      case Kind::add:
        return n.inputs == 2 && x == y && value(n.input[1]) == y;
      case Kind::slice:
        return same_places && n.first < x.channels && y.channels <= x.channels - n.first;
      case Kind::pad_channels:
        return same_places && n.first < y.channels && x.channels <= y.channels - n.first;
      case Kind::shuffle:
        return x == y && n.groups >= 1 && x.channels % n.groups == 0;
      case Kind::concat: {
        uint32_t channels = 0;
        for (uint32_t i = 0; i < n.inputs; ++i) {
          const Value part = value(n.input[i]);
          if (part.height != y.height || part.width != y.width) return false;
          channels += part.channels;
        }
        return channels == y.channels;
      }
    }
    return false;
  };
  const bool good = fits();
  if (!good) message.set("node %u does not fit its operands", unsigned(index));
  return good;
}

Check File::open(const void* data, size_t bytes, const Message& message) {
  data_ = static_cast<const uint8_t*>(data);
  bytes_ = bytes;
  const Check header = check_header(bytes, message);
  if (header != Check::good) return header;
  for (uint32_t i = 0; i < values_; ++i) {
    const Value v = value(i);
    if (v.height < 1 || v.height > most_extent || v.width < 1 || v.width > most_extent || v.channels < 1 ||
        v.channels > most_extent || v.elements() > most_elements) {
      message.set("value %u has extents out of range", unsigned(i));
      return Check::bad;
    }
  }
  uint64_t taken = 0;
  for (uint32_t i = 0; i < tensors_; ++i) {
    if (!check_tensor(i, bytes, message)) return Check::bad;
    taken += tensor(i).bytes();
  }
  if (taken > bytes) {  // they would be looked through again and again
    message.set("tensors that overlap: %llu bytes, the file has %zu", (unsigned long long)taken, bytes);
    return Check::bad;
  }
  for (uint32_t i = 0; i < tensors_; ++i) {
    if (is_finite(tensor(i))) continue;
    message.set("tensor %u holds numbers that are not finite", unsigned(i));
    return Check::bad;
  }
  uint8_t written[most_values / 8] = {};
  const auto is_written = [&](uint32_t v) { return (written[v / 8] >> v % 8 & 1) != 0; };
  const auto write = [&](uint32_t v) { written[v / 8] = uint8_t(written[v / 8] | 1 << v % 8); };
  write(input_);
  for (uint32_t i = 0; i < nodes_; ++i) {
    if (!check_node(i, message)) return Check::bad;
    const Node n = node(i);
    bool ready = !is_written(n.output) && (n.add == none || is_written(n.add));
    for (uint32_t k = 0; k < n.inputs; ++k) ready = ready && is_written(n.input[k]);
    if (!ready) {
      message.set("node %u reads what is not written yet, or writes twice", unsigned(i));
      return Check::bad;
    }
    write(n.output);
  }
  if (!is_written(output_)) {
    message.set("no node writes the output");
    return Check::bad;
  }
  return check_pictures(message) ? Check::good : Check::bad;
}

const float* File::in_place(const Tensor& t) const {
  const uint8_t* p = data_ + t.offset;
  const uint32_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  const bool little_endian = first == 1;
  return t.type == Type::f32 && little_endian && reinterpret_cast<uintptr_t>(p) % sizeof(float) == 0
             ? reinterpret_cast<const float*>(p)
             : nullptr;
}

void File::decode(const Tensor& t, float* to) const {
  const uint8_t* from = data_ + t.offset;
  const uint64_t n = t.elements();
  if (t.type == Type::f32) {
    for (uint64_t i = 0; i < n; ++i) to[i] = load_float(from + 4 * i);
  } else if (t.type == Type::f16) {
    for (uint64_t i = 0; i < n; ++i) to[i] = float_of(uint16_t(from[2 * i] | from[2 * i + 1] << 8));
  } else {
    const uint8_t* scales = data_ + tensor(t.scales).offset;
    const uint64_t row = n / t.extents[0];
    for (uint64_t i = 0; i < n; ++i) to[i] = float(int8_t(from[i])) * load_float(scales + 4 * (i / row));
  }
}

uint32_t File::last_use(uint32_t index) const {
  if (index == output_) return nodes_;
  for (uint32_t i = nodes_; i-- > 0;) {
    const Node n = node(i);
    bool reads = n.add == index || n.output == index;
    for (uint32_t k = 0; k < n.inputs; ++k) reads = reads || n.input[k] == index;
    if (reads) return i;
  }
  return 0;
}

uint64_t File::macs(const Node& n) const {
  if (n.kind != Kind::conv && n.kind != Kind::linear) return 0;
  const Tensor w = tensor(n.weight);
  return value(n.output).elements() * (w.elements() / w.extents[0]);
}

}  // namespace retort::infer
