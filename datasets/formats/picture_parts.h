// What a decoder of pictures does not look at: checksums, where a picture ends, the kind its header names,
// the orientation a camera noted. Held against the formats before the decoder sees the bytes.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace retort {

// The orientation of an EXIF block (a TIFF header and its first directory, EXIF 2.32 section 4.6.4), 1..8;
// 1, upright, where it says none.
int exif_orientation(std::span<const uint8_t> exif);

struct JpegParts {
  // The picture alone, from its beginning to its end mark: without comments, application data, and whatever
  // follows. One Adobe mark says how its colours are stored, as libjpeg would take them.
  std::vector<uint8_t> stream;
  int orientation = 1;
  int64_t height = 0, width = 0;
  int components = 0;  // 1: grey, 3: colour, 4: CMYK
};

// ITU-T T.81. Fault::input, naming the place or the kind, for a damaged or truncated file and for the kinds
// that are not decoded here: arithmetic coding, lossless, hierarchical, other than 8 bits a sample.
JpegParts jpeg_parts(std::span<const uint8_t> file, const std::string& name);

struct PngParts {
  std::span<const uint8_t> picture;  // from the signature to the end of IEND
  std::vector<uint8_t> compressed;   // the data of all IDAT chunks: one zlib stream
  int orientation = 1;
  int64_t height = 0, width = 0;
  int depth = 0, colour_type = 0;
  bool interlaced = false;
};

// PNG, third edition. Fault::input where a chunk is cut, its CRC is wrong, or it is critical and not known.
PngParts png_parts(std::span<const uint8_t> file, const std::string& name);

// What its data unpack to: its rows, each behind its filter (section 7.2), interlaced those of seven smaller
// pictures (8.2). 0 for a colour type that there is not.
int64_t bytes_of_rows(const PngParts& parts);

// RFC 1950: fails with Fault::input unless the sum behind the stream is that of `unpacked`.
void check_zlib_sum(std::span<const uint8_t> compressed, std::span<const uint8_t> unpacked,
                    const std::string& name);

// What a file that is neither JPEG nor PNG is, and what to do with it: "a WebP picture; ...".
std::string other_kind(std::span<const uint8_t> file);

}  // namespace retort
