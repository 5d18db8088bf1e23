// What decoding takes at most, against what the system counts.
#include "datasets/formats/jpeg_turbo.h"
#include "datasets/formats/picture_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/flat_pictures.h"
#include "tests/support/peak_memory.h"

namespace retort::testing {
namespace {

constexpr int side = 2048;
constexpr int64_t pixels = int64_t(side) * side;

TEST(DecodingMemory, IsWhatIsSaidOfEachKind) {
  struct Case {
    std::string kind, file;
    int bytes_a_pixel, by_turbo;
    bool interlaced = false;
  };
  const Case cases[] = {{"a usual JPEG", flat_jpeg(side, 3, false), 6, 3},
                        {"a progressive JPEG", flat_jpeg(side, 3, true), 12, 9},
                        {"a progressive JPEG of CMYK", flat_jpeg(side, 4, true), 15, 15},
                        {"a PNG of 8-bit RGB", flat_png(side, 3, 8, false), 6, 6},
                        {"a PNG of 16-bit RGBA", flat_png(side, 4, 16, false), 16, 16},
                        {"an interlaced PNG of 16-bit RGBA", flat_png(side, 4, 16, true), 20, 20, true}};
  for (const Decoder decoder : {Decoder::stb, Decoder::turbo}) {
    if (decoder == Decoder::turbo && !turbo_built()) continue;
    for (const Case& one : cases) {
      SCOPED_TRACE(one.kind + " by " + name_of(decoder));
      const std::vector<uint8_t> file(one.file.begin(), one.file.end());
      const std::optional<int64_t> peak = peak_of([&] {
        PictureDecoder pictures(decoder);
        const PixelView view = pictures.decode(file, "flat", [](const PictureSize& size) {
          return Box{0, 0, size.height, size.width};
        });
        EXPECT_EQ(view.height, side);
      });
      if (!peak) GTEST_SKIP() << "the system does not say how much memory was taken";
      const int a_pixel = decoder == Decoder::turbo ? one.by_turbo : one.bytes_a_pixel;
      EXPECT_LE(*peak, a_pixel * pixels + 4 * int64_t(file.size()) + (8 << 20));
      EXPECT_GE(*peak, a_pixel * pixels * 8 / 10) << "the number is larger than need be";
      const int64_t largest = one.interlaced ? max_picture_pixels / 2 : max_picture_pixels;
      EXPECT_LE(a_pixel * largest, decoding_bytes(0));
    }
  }
}

// Up to the limits on sides and pixels a picture is one, however many bytes a pixel has; only interlaced ones
// have another.
TEST(DecodingMemory, LargestPicturesOfManyBytes) {
  constexpr int largest = 8192;
  static_assert(int64_t(largest) * largest == max_picture_pixels);
  if (!counts_memory) GTEST_SKIP() << "an instrumented program takes its time";
  PictureDecoder pictures;
  const auto decoded = [&](const std::string& file) {
    return pictures.decode({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "flat",
                           [](const PictureSize&) {
                             return Box{0, 0, 1, 1};
                           });
  };
  EXPECT_EQ(decoded(flat_png(largest, 4, 16, false)).height, 1);
  const std::string rows = png_chunk("IDAT", "not looked at") + png_chunk("IEND", "");
  expect_fault(Fault::input, "an interlaced PNG that unpacks to 536,886,272 bytes",
               [&] { decoded(png_header(largest, 4, 16, true) + rows); });
}

}  // namespace
}  // namespace retort::testing
