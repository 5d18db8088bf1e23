#include "datasets/formats/picture_decoder.h"

#include <algorithm>

#include "datasets/formats/jpeg_turbo.h"
#include "datasets/formats/picture_parts.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

#define STBI_NO_STDIO
#include <retort_stb_image.h>

namespace retort {
namespace {

// The reason is asked for when the value is known to be bad: as arguments of one call their order is open.
[[noreturn]] void fail_damaged(const std::string& name, const char* kind) {
  const char* reason = stbi_failure_reason();
  fail(Fault::input, name, ": damaged ", kind, " file: ", reason ? reason : "no reason is known");
}

PictureSize checked_size(int64_t height, int64_t width, const std::string& name) {
  check(width >= 1 && height >= 1 && width <= max_picture_side && height <= max_picture_side &&
            width * height <= max_picture_pixels,
        Fault::input, name, ": an image of ", width, " x ", height, " pixels, expected at most ",
        max_picture_side, " along a side and ", with_commas(max_picture_pixels), " in all");
  return {int(height), int(width)};
}

// Else it is a JPEG.
bool is_png(std::span<const uint8_t> file, const std::string& name) {
  constexpr uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, jpeg[] = {0xff, 0xd8, 0xff};
  const auto begins = [&](std::span<const uint8_t> mark) {
    return file.size() >= mark.size() && std::equal(mark.begin(), mark.end(), file.begin());
  };
  check(begins(png) || begins(jpeg), Fault::input, name, ": ", other_kind(file));
  check(int64_t(file.size()) <= max_picture_file, Fault::input, name, ": ", with_commas(int64_t(file.size())),
        " bytes, expected at most ", with_commas(max_picture_file));
  return begins(png);
}

}  // namespace

Decoder decoder_named(const std::string& name) {
  if (name == "stb") return Decoder::stb;
  check(name == "auto" || name == "turbo", Fault::usage, "decoder '", name, "': expected auto, stb or turbo");
  check(name == "auto" || turbo_built(), Fault::usage,
        "decoder turbo: this program was built without libjpeg-turbo (Debian: libjpeg62-turbo-dev); use stb");
  return turbo_built() ? Decoder::turbo : Decoder::stb;
}

const char* name_of(Decoder decoder) {
  return decoder == Decoder::stb ? "stb" : "turbo";
}

PixelView PictureDecoder::decode(std::span<const uint8_t> file, const std::string& name,
                                 const Choose& window) {
  return is_png(file, name) ? decode_png(file, name, window) : decode_jpeg(file, name, window);
}

PictureSize PictureDecoder::measure(std::span<const uint8_t> file, const std::string& name) {
  const auto size_of = [&](const auto& parts) {
    orientation_ = parts.orientation;
    return checked_size(parts.height, parts.width, name);
  };
  return is_png(file, name) ? size_of(png_parts(file, name)) : size_of(jpeg_parts(file, name));
}

void PictureDecoder::let_go() {
  block_ = {nullptr, nullptr};
  std::vector<uint8_t>().swap(pixels_);  // = {} would keep the block
}

PixelView PictureDecoder::decode_with_stb(std::span<const uint8_t> picture, const PictureSize& size,
                                          const std::string& name, const char* kind) {
  int width = 0, height = 0, channels = 0;
  let_go();  // never two in memory
  block_ = {stbi_load_from_memory(picture.data(), int(picture.size()), &width, &height, &channels, 3),
            stbi_image_free};
  if (!block_) fail_damaged(name, kind);
  check(height == size.height && width == size.width, Fault::input, name, ": damaged ", kind,
        " file: ", width, " x ", height, " pixels in place of ", size.width, " x ", size.height);
  return {block_.get(), height, width, 3 * int64_t(width)};
}

PixelView PictureDecoder::decode_jpeg(std::span<const uint8_t> file, const std::string& name,
                                      const Choose& window) {
  const JpegParts parts = jpeg_parts(file, name);
  const PictureSize size = checked_size(parts.height, parts.width, name);
  orientation_ = parts.orientation;
  const Box wanted = window(size);
  // libjpeg makes no RGB of CMYK.
  if (decoder_ == Decoder::turbo && parts.components != 4) {
    block_ = {nullptr, nullptr};
    return decode_with_turbo(parts.stream, size.height, size.width, wanted, name, pixels_);
  }
  return decode_with_stb(parts.stream, size, name, "JPEG").part(wanted);
}

PixelView PictureDecoder::decode_png(std::span<const uint8_t> file, const std::string& name,
                                     const Choose& window) {
  let_go();
  PngParts parts = png_parts(file, name);
  const PictureSize size = checked_size(parts.height, parts.width, name);
  orientation_ = parts.orientation;
  const int64_t rows = bytes_of_rows(parts);
  // stb_image makes room for the rows as if there were one pass, and then twice that.
  check(!parts.interlaced || rows <= max_block / 2, Fault::input, name,
        ": an interlaced PNG that unpacks to ", with_commas(rows), " bytes, expected at most ",
        with_commas(max_block / 2), "; save it without interlacing");
  int unpacked_bytes = 0;
  std::unique_ptr<stbi_uc, void (*)(void*)> unpacked(
      reinterpret_cast<stbi_uc*>(stbi_zlib_decode_malloc_guesssize(
          reinterpret_cast<const char*>(parts.compressed.data()), int(parts.compressed.size()),
          int(std::clamp<int64_t>(rows, 1, max_block)), &unpacked_bytes)),
      stbi_image_free);
  if (!unpacked) fail_damaged(name, "PNG");
  check_zlib_sum(parts.compressed, {unpacked.get(), size_t(unpacked_bytes)}, name);
  unpacked.reset();
  std::vector<uint8_t>().swap(parts.compressed);
  return decode_with_stb(parts.picture, size, name, "PNG").part(window(size));
}

}  // namespace retort
