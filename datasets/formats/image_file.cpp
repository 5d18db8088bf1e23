#include "datasets/formats/image_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "engine/base/check.h"
#include "engine/base/file.h"

#define STBI_NO_STDIO
#include <stb_image.h>

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

// stb_image 2.27 writes past its tables where a JPEG's Huffman table claims more than 256 symbols, so the
// tables are looked at first. Up to the first scan the segments are followed as the decoder follows them;
// after it, any DHT mark.
void check_huffman_tables(std::span<const uint8_t> file, const std::string& name) {
  constexpr uint8_t huffman = 0xc4, scan = 0xda;
  const auto u16 = [&](size_t at) { return at + 1 < file.size() ? file[at] * 256 + file[at + 1] : 0; };
  const auto check_segment = [&](size_t at) {  // of its length
    int left = u16(at) - 2;
    for (size_t table = at + 2; left > 0 && table + 17 <= file.size();) {
      int symbols = 0;
      for (size_t i = 1; i <= 16; ++i) symbols += file[table + i];
      check(symbols <= 256, Fault::input, name, ": damaged JPEG file: a Huffman table of ", symbols,
            " symbols at byte ", with_commas(int64_t(table)), ", expected at most 256");
      table += 17 + size_t(symbols);
      left -= 17 + symbols;
    }
  };
  bool scanned = false;
  for (size_t at = 2; at < file.size();) {
    if (file[at++] != 0xff) continue;
    while (at < file.size() && file[at] == 0xff) ++at;
    if (at >= file.size()) return;
    const uint8_t marker = file[at++];
    if (marker == huffman) check_segment(at);
    scanned = scanned || marker == scan;
    if (!scanned) at += size_t(std::max(2, u16(at)));
  }
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
  check(begins(png) || begins(jpeg), Fault::input, name, ": neither a JPEG nor a PNG file");
  check(int64_t(file.size()) <= max_file, Fault::input, name, ": ", with_commas(int64_t(file.size())),
        " bytes, expected at most ", with_commas(max_file));
  const char* kind = begins(png) ? "PNG" : "JPEG";
  if (begins(jpeg)) check_huffman_tables(file, name);
  int width = 0, height = 0, channels = 0;
  check(stbi_info_from_memory(file.data(), int(file.size()), &width, &height, &channels) != 0, Fault::input,
        name, ": damaged ", kind, " file: ", stbi_failure_reason());
  check(width >= 1 && height >= 1 && width <= max_side && height <= max_side &&
            int64_t(width) * height <= max_pixels,
        Fault::input, name, ": an image of ", width, " x ", height, " pixels, expected at most ", max_side,
        " along a side and ", with_commas(max_pixels), " in all");
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(file.data(), int(file.size()), &width, &height, &channels, 3), stbi_image_free);
  check(pixels != nullptr, Fault::input, name, ": damaged ", kind, " file: ", stbi_failure_reason());
  Image image{height, width, std::vector<uint8_t>(size_t(height) * size_t(width) * 3)};
  std::memcpy(image.pixels.data(), pixels.get(), image.pixels.size());
  return image;
}

Image read_image(const std::filesystem::path& path) {
  InputFile file(path);
  return decode_image(file.read_all(max_file), file.name());
}

Image resize_image(const Image& image, int height, int width) {
  check(height >= 1 && width >= 1, "image: resize to ", height, " x ", width);
  Image out{height, width, image.pixels};
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
