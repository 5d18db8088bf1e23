// Following a PNG file from chunk to chunk (PNG, third edition, section 5).
#include <algorithm>
#include <string_view>

#include "datasets/formats/picture_parts.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/zip_archive.h"

namespace retort {
namespace {

uint32_t big_endian(std::span<const uint8_t> bytes) {
  return uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 | uint32_t(bytes[2]) << 8 | bytes[3];
}

bool is_letter(uint8_t c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

uint32_t adler32(std::span<const uint8_t> data) {
  constexpr uint32_t modulus = 65521;
  constexpr size_t piece = 5552;  // the sums of so many bytes still fit 32 bits
  uint32_t a = 1, b = 0;
  for (size_t at = 0; at < data.size(); at += piece) {
    for (uint8_t byte : data.subspan(at, std::min(piece, data.size() - at))) {
      a += byte;
      b += a;
    }
    a %= modulus;
    b %= modulus;
  }
  return b << 16 | a;
}

}  // namespace

PngParts png_parts(std::span<const uint8_t> file, const std::string& name) {
  constexpr size_t signature = 8, head = 8, sum = 4;
  const auto damaged = [&](const auto&... words) {
    fail(Fault::input, name, ": damaged PNG file: ", words...);
  };
  PngParts parts;
  parts.compressed.reserve(file.size());  // grown piece by piece it would be there twice
  for (size_t at = signature;;) {
    if (file.size() - at < head + sum) damaged("it ends before its IEND chunk; was it cut?");
    const size_t length = big_endian(file.subspan(at));
    const auto type = file.subspan(at + 4, 4);
    const std::string_view kind(reinterpret_cast<const char*>(type.data()), 4);
    if (!std::all_of(type.begin(), type.end(), is_letter))
      damaged("no chunk begins at byte ", with_commas(int64_t(at)), ", where one is expected");
    if (length > file.size() - at - head - sum)
      damaged("chunk ", kind, " at byte ", with_commas(int64_t(at)), " ends behind the file; was it cut?");
    const auto covered = file.subspan(at + 4, 4 + length);
    const uint32_t stored = big_endian(file.subspan(at + head + length)),
                   found = crc32(std::as_bytes(covered));
    if (stored != found)
      damaged("chunk ", kind, " at byte ", with_commas(int64_t(at)), " has the CRC ", found, ", expected ",
              stored);
    const auto data = covered.subspan(4);
    at += head + length + sum;
    if (kind == "IDAT") parts.compressed.insert(parts.compressed.end(), data.begin(), data.end());
    if (kind == "IHDR" && data.size() >= 8) {
      parts.width = int64_t(big_endian(data));
      parts.height = int64_t(big_endian(data.subspan(4)));
      if (data.size() > 12) {
        parts.depth = data[8];
        parts.colour_type = data[9];
        parts.interlaced = data[12] != 0;
      }
    }
    if (kind == "eXIf") parts.orientation = exif_orientation(data);
    check(kind != "CgBI", Fault::input, name,
          ": a PNG in the form of iPhone programs (chunk CgBI), which is none of the standard's; `pngcrush "
          "-revert-iphone-optimizations` makes it one");
    const bool critical = (type[0] & 0x20) == 0;
    const bool known = kind == "IHDR" || kind == "PLTE" || kind == "IDAT" || kind == "IEND";
    check(known || !critical, Fault::input, name, ": the PNG needs its chunk ", kind,
          ", which the standard does not know; save it as a usual PNG");
    if (kind == "IEND") {
      parts.picture = file.first(at);
      return parts;
    }
  }
}

int64_t bytes_of_rows(const PngParts& parts) {
  constexpr int channels[] = {1, 0, 3, 1, 2, 0, 4};
  struct Pass {
    int top, left, down, right;  // its first row and column, and the steps from there
  };
  constexpr Pass whole[] = {{0, 0, 1, 1}}, adam7[] = {{0, 0, 8, 8}, {0, 4, 8, 8}, {4, 0, 8, 4}, {0, 2, 4, 4},
                                                      {2, 0, 4, 2}, {0, 1, 2, 2}, {1, 0, 2, 1}};
  if (parts.colour_type > 6) return 0;
  const int bits = channels[parts.colour_type] * parts.depth;
  int64_t bytes = 0;
  for (const Pass& pass : parts.interlaced ? std::span<const Pass>(adam7) : std::span<const Pass>(whole)) {
    const int64_t height = (parts.height - pass.top + pass.down - 1) / pass.down;
    const int64_t width = (parts.width - pass.left + pass.right - 1) / pass.right;
    if (width > 0) bytes += height * (1 + (width * bits + 7) / 8);
  }
  return bytes;
}

void check_zlib_sum(std::span<const uint8_t> compressed, std::span<const uint8_t> unpacked,
                    const std::string& name) {
  const uint32_t sum = adler32(unpacked);
  const uint8_t stored[] = {uint8_t(sum >> 24), uint8_t(sum >> 16), uint8_t(sum >> 8), uint8_t(sum)};
  // The last thing, but some writers leave a few bytes behind it.
  constexpr size_t slack = 1024;
  const auto tail = compressed.last(std::min(compressed.size(), slack));
  check(std::search(tail.begin(), tail.end(), std::begin(stored), std::end(stored)) != tail.end(),
        Fault::input, name, ": damaged PNG file: the checksum (Adler-32) of its pixels is wrong");
}

std::string other_kind(std::span<const uint8_t> file) {
  using namespace std::literals;
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  constexpr char convert[] = "; `magick FILE picture.png` converts it";
  struct Kind {
    size_t at;
    std::string_view mark;
    const char* words;
  };
  static const Kind kinds[] = {
      {0, "BM"sv, "a BMP picture"},
      {0, "GIF8"sv, "a GIF picture"},
      {8, "WEBP"sv, "a WebP picture"},
      {0, "II*\0"sv, "a TIFF picture"},
      {0, "MM\0*"sv, "a TIFF picture"},
      {0, "II+\0"sv, "a BigTIFF picture"},
      {0, "MM\0+"sv, "a BigTIFF picture"},
      {4, "ftypavif"sv, "an AVIF picture"},
      {4, "ftypavis"sv, "an AVIF picture"},
      {4, "ftyphei"sv, "a HEIC picture"},
      {4, "ftyphev"sv, "a HEIC picture"},
      {4, "ftypmif1"sv, "a HEIF picture"},
      {4, "ftypmsf1"sv, "a HEIF picture"},
      {4, "jP  \r\n"sv, "a JPEG 2000 picture"},
      {0, "\xff\x4f\xff\x51"sv, "a JPEG 2000 picture"},
      {4, "JXL \r\n"sv, "a JPEG XL picture"},
      {0, "\xff\x0a"sv, "a JPEG XL picture"},
      {0, "8BPS"sv, "a Photoshop picture"},
      {0, "\0\0\1\0"sv, "an icon"},
      {0, "qoif"sv, "a QOI picture"},
      {0, "%PDF"sv, "a PDF"},
      {0, "<svg"sv, "an SVG drawing"},
  };
  for (const Kind& kind : kinds) {
    if (bytes.size() > kind.at && bytes.substr(kind.at).starts_with(kind.mark))
      return text(kind.words, ", expected JPEG or PNG", convert);
  }
  if (bytes.starts_with("\x1f\x8b")) return "a gzipped file, expected JPEG or PNG; gunzip unpacks it";
  if (bytes.size() >= 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7')
    return text("a PNM picture, expected JPEG or PNG", convert);
  if (bytes.starts_with("version https://git-lfs"))
    return "a Git LFS pointer in place of the picture; `git lfs pull` fetches it";
  if (bytes.starts_with("<"))
    return "neither a JPEG nor a PNG file, but text (a web page in place of a download?)";
  if (bytes.empty()) return "neither a JPEG nor a PNG file, but empty";
  return "neither a JPEG nor a PNG file";
}

}  // namespace retort
