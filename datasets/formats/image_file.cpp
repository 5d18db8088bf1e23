#include "datasets/formats/image_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "datasets/formats/picture_parts.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

#define STBI_NO_STDIO
#include <retort_stb_image.h>

namespace retort {
namespace {

constexpr int64_t max_side = 16384, max_pixels = int64_t(1) << 26;
constexpr int64_t max_file = int64_t(1) << 28;

// What one row or column of the result takes from the source: weights of source places from `first` on.
struct Taps {
  int first;
  std::vector<float> weights;
};

std::vector<Taps> taps_of(int from, int to) {
  const double scale = double(from) / to;
  const double reach = std::max(scale, 1.0);  // half the width of the triangle
  std::vector<Taps> all;
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, int(centre - reach + 0.5));
    const int end = std::min(from, int(centre + reach + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int place = first; place < end; ++place) {
      weights.push_back(std::max(0.0, 1 - std::abs((place + 0.5 - centre) / reach)));
      sum += weights.back();
    }
    Taps taps{first, {}};
    for (double weight : weights) taps.weights.push_back(float(weight / sum));
    all.push_back(std::move(taps));
  }
  return all;
}

// Along the middle axis of (outer, from, inner) bytes.
std::vector<uint8_t> resize_axis(const std::vector<uint8_t>& in, int64_t outer, int from, int to,
                                 int64_t inner) {
  const std::vector<Taps> taps = taps_of(from, to);
  std::vector<uint8_t> out(size_t(outer * to * inner));
  std::vector<float> sums(static_cast<size_t>(inner));
  for (int64_t o = 0; o < outer; ++o)
    for (int i = 0; i < to; ++i) {
      std::fill(sums.begin(), sums.end(), 0.5f);  // rounds
      for (size_t k = 0; k < taps[size_t(i)].weights.size(); ++k) {
        const float weight = taps[size_t(i)].weights[k];
        const uint8_t* source = in.data() + (o * from + taps[size_t(i)].first + int64_t(k)) * inner;
        for (int64_t j = 0; j < inner; ++j) sums[size_t(j)] += weight * float(source[j]);
      }
      uint8_t* result = out.data() + (o * to + i) * inner;
      for (int64_t j = 0; j < inner; ++j) result[j] = uint8_t(std::clamp(sums[size_t(j)], 0.0f, 255.0f));
    }
  return out;
}

using StbBlock = std::unique_ptr<stbi_uc, void (*)(void*)>;

// The reason is asked for when the value is known to be bad: as arguments of one call their order is open.
[[noreturn]] void fail_damaged(const std::string& name, const char* kind) {
  const char* reason = stbi_failure_reason();
  fail(Fault::input, name, ": damaged ", kind, " file: ", reason ? reason : "no reason is known");
}

// `file`: what the format's own reader has found sound.
Image decode(std::span<const uint8_t> file, const std::string& name, const char* kind) {
  int width = 0, height = 0, channels = 0;
  const int bytes = int(file.size());
  StbBlock pixels(stbi_load_from_memory(file.data(), bytes, &width, &height, &channels, 3), stbi_image_free);
  if (!pixels) fail_damaged(name, kind);
  Image image{height, width, std::vector<uint8_t>(size_t(height) * size_t(width) * 3)};
  std::memcpy(image.pixels.data(), pixels.get(), image.pixels.size());
  return image;
}

void check_size(std::span<const uint8_t> file, const std::string& name, const char* kind) {
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(file.data(), int(file.size()), &width, &height, &channels))
    fail_damaged(name, kind);
  check(width >= 1 && height >= 1 && width <= max_side && height <= max_side &&
            int64_t(width) * height <= max_pixels,
        Fault::input, name, ": an image of ", width, " x ", height, " pixels, expected at most ", max_side,
        " along a side and ", with_commas(max_pixels), " in all");
}

Image decode_jpeg(std::span<const uint8_t> file, const std::string& name) {
  const JpegParts parts = jpeg_parts(file, name);
  check_size(parts.stream, name, "JPEG");
  Image image = decode(parts.stream, name, "JPEG");
  image.orientation = parts.orientation;
  return image;
}

Image decode_png(std::span<const uint8_t> file, const std::string& name) {
  const PngParts parts = png_parts(file, name);
  check_size(parts.picture, name, "PNG");
  int unpacked_bytes = 0;
  StbBlock unpacked(reinterpret_cast<stbi_uc*>(
                        stbi_zlib_decode_malloc(reinterpret_cast<const char*>(parts.compressed.data()),
                                                int(parts.compressed.size()), &unpacked_bytes)),
                    stbi_image_free);
  if (!unpacked) fail_damaged(name, "PNG");
  check_zlib_sum(parts.compressed, {unpacked.get(), size_t(unpacked_bytes)}, name);
  unpacked.reset();
  Image image = decode(parts.picture, name, "PNG");
  image.orientation = parts.orientation;
  return image;
}

// Half of what is too much; a half pixel goes to the even side, as in torchvision's centre crop.
int centre_offset(int excess) {
  return excess / 2 + (excess % 4 == 3 ? 1 : 0);
}

}  // namespace

Image decode_image(std::span<const uint8_t> file, const std::string& name) {
  constexpr uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, jpeg[] = {0xff, 0xd8, 0xff};
  const auto begins = [&](std::span<const uint8_t> mark) {
    return file.size() >= mark.size() && std::equal(mark.begin(), mark.end(), file.begin());
  };
  check(begins(png) || begins(jpeg), Fault::input, name, ": ", other_kind(file));
  check(int64_t(file.size()) <= max_file, Fault::input, name, ": ", with_commas(int64_t(file.size())),
        " bytes, expected at most ", with_commas(max_file));
  return begins(png) ? decode_png(file, name) : decode_jpeg(file, name);
}

Image read_image(const std::filesystem::path& path) {
  InputFile file(path);
  return decode_image(file.read_all(max_file), file.name());
}

Image upright(const Image& image) {
  const int noted = image.orientation;
  if (noted <= 1 || noted > 8) return image;
  // Orientations of 5 and more exchange rows and columns; which corner the first pixel belongs to follows.
  const bool turned = noted >= 5;
  const bool from_right = noted == 2 || noted == 3 || noted == 7 || noted == 8;
  const bool from_below = noted == 3 || noted == 4 || noted == 6 || noted == 7;
  Image out{turned ? image.width : image.height, turned ? image.height : image.width,
            std::vector<uint8_t>(image.pixels.size())};
  uint8_t* to = out.pixels.data();
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x, to += 3) {
      int row = turned ? x : y, column = turned ? y : x;
      if (from_below) row = image.height - 1 - row;
      if (from_right) column = image.width - 1 - column;
      std::memcpy(to, &image.pixels[(size_t(row) * size_t(image.width) + size_t(column)) * 3], 3);
    }
  return out;
}

Image resize_image(const Image& image, int height, int width) {
  check(height >= 1 && width >= 1, "image: resize to ", height, " x ", width);
  Image out{height, width, image.pixels, image.orientation};
  if (width != image.width) out.pixels = resize_axis(out.pixels, image.height, image.width, width, 3);
  if (height != image.height)
    out.pixels = resize_axis(out.pixels, 1, image.height, height, int64_t(width) * 3);
  return out;
}

Fitted fit_image(const Image& image, int side) {
  if (image.height == side && image.width == side) return {image, false};
  const int shorter = std::min(image.height, image.width), longer = std::max(image.height, image.width);
  const int64_t long_side = int64_t(side) * longer / shorter;
  check(int64_t(side) * long_side <= max_pixels, Fault::input, "image of ", image.width, " x ", image.height,
        " pixels: too narrow to be resized to a shorter side of ", side);
  const bool tall = image.height > image.width;
  const Image resized = resize_image(image, tall ? int(long_side) : side, tall ? side : int(long_side));
  const int top = centre_offset(resized.height - side), left = centre_offset(resized.width - side);
  Image out{side, side, {}};
  for (int y = 0; y < side; ++y) {
    const auto row = resized.pixels.begin() + (int64_t(top + y) * resized.width + left) * 3;
    out.pixels.insert(out.pixels.end(), row, row + int64_t(side) * 3);
  }
  return {std::move(out), true};
}

}  // namespace retort
