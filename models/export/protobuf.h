// The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as far as ONNX needs it:
// a message is a sequence of (field number, value), a value a varint, 4 or 8 bytes, or a counted piece.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/byte_reader.h"

namespace retort {

enum class Wire : uint8_t { varint = 0, eight_bytes = 1, piece = 2, four_bytes = 5 };

// Appends fields to a message.
class ProtoWriter {
 public:
  void integer(int field, int64_t value) {
    key(field, Wire::varint);
    varint(uint64_t(value));
  }
  void real(int field, float value) {
    key(field, Wire::four_bytes);
    const char* bytes = reinterpret_cast<const char*>(&value);
    bytes_.append(bytes, sizeof value);
  }
  // Text, bytes or a message.
  void piece(int field, std::string_view content) {
    key(field, Wire::piece);
    varint(content.size());
    bytes_ += content;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, Wire wire) { varint(uint64_t(field) << 3 | uint64_t(wire)); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += char(value | 0x80);
    bytes_ += char(value);
  }
  std::string bytes_;
};

struct ProtoField {
  int number = 0;
  Wire wire = Wire::varint;
  uint64_t bits = 0;      // of a varint, or of 4 or 8 bytes
  std::string_view text;  // of a piece

  int64_t integer() const { return int64_t(bits); }
  float real() const { return std::bit_cast<float>(uint32_t(bits)); }
};

// Reads a message's fields in turn. Fault::input, naming the file, for what is damaged.
class ProtoReader {
 public:
  ProtoReader(std::string_view message, std::string file)
      : reader_(std::as_bytes(std::span(message)), std::move(file)) {}

  bool next(ProtoField& field) {
    if (reader_.left() == 0) return false;
    const uint64_t key = varint();
    field = {.number = int(key >> 3 & 0xfffffff), .wire = Wire(key & 7), .bits = 0, .text = {}};
    switch (field.wire) {
      case Wire::varint:
        field.bits = varint();
        return true;
      case Wire::eight_bytes:
        field.bits = reader_.number<uint64_t>("a field");
        return true;
      case Wire::four_bytes:
        field.bits = reader_.number<uint32_t>("a field");
        return true;
      case Wire::piece:
        field.text = reader_.text(varint(), "a field");
        return true;
    }
    fail(Fault::input, reader_.file(), ": a field of wire type ", int(key & 7), "; the file is corrupt");
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = reader_.number<uint8_t>("a number");
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail(Fault::input, reader_.file(), ": a number of more than 10 bytes; the file is corrupt");
  }
  ByteReader reader_;
};

}  // namespace retort
