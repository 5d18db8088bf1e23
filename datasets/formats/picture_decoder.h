// Windows of JPEG and PNG files as pixels.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/formats/resize.h"

namespace retort {

// Who decodes JPEGs: their pixels differ in 1 to 4 % of the bytes by at most 4. stb_image is always there and decodes
// the whole picture; libjpeg-turbo gives Pillow's bytes and decodes the window only.
enum class Decoder { stb, turbo };

// "auto" (turbo where it was built), "stb" or "turbo"; Fault::usage for another name, and for turbo in a program
// that was built without it.
Decoder decoder_named(const std::string& name);
const char* name_of(Decoder decoder);

// Above these a picture is bad, by what its header says.
constexpr int64_t max_picture_side = 16384, max_picture_pixels = int64_t(1) << 26;
constexpr int64_t max_picture_file = int64_t(1) << 28;

struct PictureSize {
  int height = 0, width = 0;
};

// A small file can claim to unpack to gigabytes: no single block of a decoder's is larger than this, the rows
// of a PNG of 16-bit RGBA with their filters.
constexpr int64_t max_block = 8 * max_picture_pixels + 4 * max_picture_side;
// Bytes that decoding a file of so many takes at most, the file and copies of its parts with it. A pixel
// takes 6 bytes in a usual JPEG (planes, pixels), with coefficients 12 in a progressive one and 15 in one of
// CMYK, by libjpeg-turbo 3 and 9; in a PNG of 16-bit RGBA 16 (rows, pixels). Interlaced ones take more, but
// no more in all, see max_block.
constexpr int64_t decoding_bytes(int64_t file_bytes) {
  return 16 * max_picture_pixels + 4 * file_bytes;
}
// That stb_image keeps in every thread that has decoded, for the next picture.
constexpr int64_t kept_by_decoding = int64_t(1) << 24;

// Keeps its buffers: one for each thread.
class PictureDecoder {
 public:
  // Which part is wanted of a picture of this size.
  using Choose = std::function<Box(const PictureSize& size)>;

  explicit PictureDecoder(Decoder decoder = Decoder::stb) : decoder_(decoder) {}

  // The window as R, G, B; valid until the next call. Grey and CMYK become RGB, as Pillow converts them; transparency
  // is dropped; 16 bits become 8; what follows the picture's end (the video of a motion photo) does not matter.
  // Content decides the kind, not the name, which is for messages. What is not a whole JPEG or PNG, has a wrong
  // checksum, or is larger than the limits above, is a Fault::input with the reason.
  PixelView decode(std::span<const uint8_t> file, const std::string& name, const Choose& window);

  // As the header says, the orientation too; no pixel is decoded. Fault::input as above.
  PictureSize measure(std::span<const uint8_t> file, const std::string& name);

  // Of the last picture, as a camera noted it (EXIF), 1..8; 1: upright.
  int orientation() const { return orientation_; }

 private:
  PixelView decode_jpeg(std::span<const uint8_t> file, const std::string& name, const Choose& window);
  PixelView decode_png(std::span<const uint8_t> file, const std::string& name, const Choose& window);
  // `picture`: what the format's own reader has found sound.
  PixelView decode_with_stb(std::span<const uint8_t> picture, const PictureSize& size, const std::string& name,
                            const char* kind);
  void let_go();  // of the last picture

  Decoder decoder_;
  int orientation_ = 1;
  std::vector<uint8_t> pixels_;                    // turbo's
  std::unique_ptr<uint8_t, void (*)(void*)> block_{nullptr, nullptr};  // stb_image's
};

}  // namespace retort
