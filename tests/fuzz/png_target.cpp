// Pictures: PNG, decoded and fitted to a network, every chunk with its right length and sum. First byte: odd,
// 13 bytes of IHDR and then the filtered rows, compressed here; even, the file itself.
#include <algorithm>
#include <array>

#include "datasets/formats/image_file.h"
#include "engine/base/zip_archive.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += char(value >> shift & 0xff);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& data) {
  return big_endian(uint32_t(data.size())) + type + data + big_endian(crc32(bytes_of(type + data)));
}

// A zlib stream of stored blocks.
std::string stored(const std::string& data) {
  std::string stream = "\x78\x01";
  for (size_t at = 0; at <= data.size(); at += 0xffff) {
    const std::string block = data.substr(at, 0xffff);
    const auto size = uint16_t(block.size());
    stream += char(at + 0xffff > data.size());
    for (const uint16_t field : {size, uint16_t(~size)}) stream += {char(field & 0xff), char(field >> 8)};
    stream += block;
  }
  uint32_t low = 1, high = 0;
  for (const char c : data) {
    low = (low + uint8_t(c)) % 65521;
    high = (high + low) % 65521;
  }
  return stream + big_endian(high << 16 | low);
}

const std::string signature("\x89PNG\r\n\x1a\n", 8);

std::string repaired(const std::string& file) {
  std::string out = signature;
  for (size_t at = 8; at + 8 <= file.size();) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | uint8_t(file[at + i]);
    length = uint32_t(std::min<size_t>(length, file.size() - at - 8));
    out += chunk(file.substr(at + 4, 4), file.substr(at + 8, length));
    at += 12 + size_t(length);
  }
  return out;
}

}  // namespace

void read_png(Bytes bytes) {
  const bool rows = take<uint8_t>(bytes) & 1;
  std::string file = text_of(bytes);
  if (rows) {
    std::string header = file.substr(0, 13);
    header.resize(13);
    header[0] = header[1] = header[2] = header[4] = header[5] = header[6] = 0;  // at most 255 x 255
    const std::string data = file.size() > 13 ? file.substr(13) : "";
    file = signature + chunk("IHDR", header) + chunk("IDAT", stored(data)) + chunk("IEND", "");
  } else {
    file = repaired(file);
  }
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  fit_image(decode_image({data, file.size()}, "input"), 32);
}

}  // namespace retort::fuzz
