// Decoding and resizing pictures; data/images/make_images.py made the files.
#include "datasets/formats/image_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <span>
#include <utility>

#include "engine/base/file.h"
#include "engine/base/zip_archive.h"
#include "engine/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::expect_fault;
using testing::TempFolder;

std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(testing::data_folder()) / "images" / name;
}

std::vector<uint8_t> bytes_of(const std::string& name) {
  return InputFile(data(name)).read_all(1 << 20);
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.width, b.width);
  if (a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
  return largest;
}

TEST(ImageFile, Png) {
  const Image image = read_image(data("picture.png"));
  ASSERT_EQ(image.height, 30);
  ASSERT_EQ(image.width, 45);
  ASSERT_EQ(image.pixels.size(), 30u * 45 * 3);
  const auto pixel = [&](int y, int x) {
    const uint8_t* p = &image.pixels[size_t(y * 45 + x) * 3];
    return std::vector<int>{p[0], p[1], p[2]};
  };
  EXPECT_EQ(pixel(0, 0), (std::vector{0, 0, 255}));
  EXPECT_EQ(pixel(2, 40), (std::vector{200, 16, 129}));
  EXPECT_EQ(pixel(7, 12), (std::vector{250, 20, 40}));
}

TEST(ImageFile, GreyAlphaAndSixteenBits) {
  const Image image = read_image(data("picture.png"));
  EXPECT_EQ(largest_difference(read_image(data("alpha.png")), image), 0);
  for (const char* name : {"grey.png", "deep.png"}) {
    const Image grey = read_image(data(name));
    ASSERT_EQ(grey.pixels.size(), image.pixels.size());
    for (size_t i = 0; i < grey.pixels.size(); ++i)
      ASSERT_EQ(grey.pixels[i], image.pixels[i / 3 * 3]) << name;
  }
}

TEST(ImageFile, Jpeg) {
  const Image image = read_image(data("picture.png")), jpeg = read_image(data("picture.jpg"));
  ASSERT_EQ(jpeg.pixels.size(), image.pixels.size());
  double sum = 0;
  for (size_t i = 0; i < jpeg.pixels.size(); ++i) sum += std::abs(int(jpeg.pixels[i]) - int(image.pixels[i]));
  EXPECT_LT(sum / double(jpeg.pixels.size()), 3);
  EXPECT_LE(largest_difference(read_image(data("progressive.jpg")), jpeg), 1);
}

TEST(ImageFile, SizesAreKnownBeforeDecoding) {
  const std::filesystem::path photos = std::filesystem::path(testing::data_folder()) / "photos";
  for (const std::filesystem::path& file :
       {data("picture-21x14.png"), data("deep.png"), data("cmyk-adobe.jpg"), photos / "colour-420.jpg",
        photos / "on-its-side.jpg", photos / "one-pixel.jpg", photos / "png-inside.JPEG"}) {
    const Image image = upright(read_image(file));
    const PictureSize size = upright_size(file);
    EXPECT_EQ(std::pair(size.height, size.width), std::pair(image.height, image.width)) << file;
  }
  expect_fault(Fault::input, "no such file", [] { upright_size("no/such.png"); });
  expect_fault(Fault::input, "", [&] { upright_size(photos / "truncated.jpg"); });
}

TEST(ImageFile, ResizesLikePillow) {
  const Image image = read_image(data("picture.png"));
  for (const auto& [width, height] : {std::pair{21, 14}, {32, 32}, {90, 60}, {7, 50}}) {
    const Image expected = read_image(data(text("picture-", width, "x", height, ".png")));
    EXPECT_EQ(largest_difference(resize_image(image, height, width), expected), 0)
        << width << " x " << height;
  }
  EXPECT_EQ(largest_difference(resize_image(image, 30, 45), image), 0);
}

TEST(ImageFile, FitCutsTheCentre) {
  const Image image = read_image(data("picture.png"));
  const Fitted fitted = fit_image(image, 20);
  EXPECT_TRUE(fitted.resized);
  ASSERT_EQ(fitted.image.pixels.size(), 20u * 20 * 3);
  const Image whole = resize_image(image, 20, 30);
  for (int y = 0; y < 20; ++y)
    EXPECT_TRUE(std::equal(fitted.image.pixels.begin() + y * 60, fitted.image.pixels.begin() + (y + 1) * 60,
                           whole.pixels.begin() + (y * 30 + 5) * 3));

  // 45 x 30 cut to 30: 7.5 columns on each side, half to even as torchvision: 8.
  const Fitted cut = fit_image(image, 30);
  EXPECT_TRUE(cut.resized);
  EXPECT_TRUE(
      std::equal(cut.image.pixels.begin(), cut.image.pixels.begin() + 90, image.pixels.begin() + 8 * 3));

  const Fitted again = fit_image(fitted.image, 20);
  EXPECT_FALSE(again.resized);
  EXPECT_EQ(largest_difference(again.image, fitted.image), 0);

  Image tall{1000, 1, std::vector<uint8_t>(3000, 9)};
  EXPECT_EQ(fit_image(tall, 8).image.pixels, std::vector<uint8_t>(8 * 8 * 3, 9));
}

// What a narrow picture would be resized to has no limit: its centre alone is computed.
TEST(ImageFile, NarrowPicturesHaveACentre) {
  Image tall{1200, 1, std::vector<uint8_t>(1200 * 3, 10)};
  std::fill(tall.pixels.begin() + 600 * 3, tall.pixels.end(), uint8_t(250));
  const Image centre = fit_image(tall, 8, 256).image;  // of 256 x 307200
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x) {
      const double between = (153596 + y + 0.5) / 256 - 599.5;  // rows 599 and 600
      EXPECT_NEAR(centre.pixels[size_t(y * 8 + x) * 3], 10 + 240 * between, 1) << y << " " << x;
    }
  const Image longest{1, 16384, std::vector<uint8_t>(16384 * 3, 9)};
  EXPECT_EQ(fit_image(longest, 224, 16384).image.pixels, std::vector<uint8_t>(224 * 224 * 3, 9));
}

TEST(ImageFile, BadFiles) {
  TempFolder folder;
  const auto bad = [&](const std::string& part, const std::string& content) {
    const auto path = folder.write("bad", content);
    expect_fault(Fault::input, part, [&] { read_image(path); });
    expect_fault(Fault::input, path.string(), [&] { read_image(path); });
  };
  bad("neither a JPEG nor a PNG file", "");
  bad("a BMP picture", "BM a bitmap");
  bad("a GIF picture", "GIF89a");
  for (const char* name : {"picture.png", "picture.jpg", "progressive.jpg"}) {
    const auto bytes = bytes_of(name);
    bad("damaged", std::string(bytes.begin(), bytes.begin() + 30));
  }
  expect_fault(Fault::input, "no such file", [&] { read_image(folder / "missing.png"); });
  expect_fault(Fault::input, "but a folder", [&] { read_image(folder.path()); });
}

TEST(ImageFile, HugeDimensionsAreRefusedBeforeDecoding) {
  auto bytes = bytes_of("picture.png");
  const auto with_size = [&](uint32_t width, uint32_t height) {
    for (size_t i = 0; i < 4; ++i) {
      bytes[16 + i] = uint8_t(width >> (24 - 8 * i));
      bytes[20 + i] = uint8_t(height >> (24 - 8 * i));
    }
    const uint32_t crc = crc32(std::as_bytes(std::span(bytes).subspan(12, 17)));  // of the IHDR chunk
    for (size_t i = 0; i < 4; ++i) bytes[29 + i] = uint8_t(crc >> (24 - 8 * i));
    return bytes;
  };
  expect_fault(Fault::input, "an image of 16384 x 16384 pixels",
               [&] { decode_image(with_size(16384, 16384), "huge.png"); });
  for (const auto& size : {std::pair{16385u, 1u}, {0x7fffffffu, 0x7fffffffu}, {0u, 5u}, {0xffffffffu, 1u}})
    expect_fault(Fault::input, "huge.png",
                 [&] { decode_image(with_size(size.first, size.second), "huge.png"); });
}

// Whatever a damaged file holds, the end is an image or Fault::input.
TEST(ImageFile, DamagedFiles) {
  for (const char* name : {"picture.png", "picture.jpg", "progressive.jpg", "deep.png"}) {
    const auto good = bytes_of(name);
    for (uint32_t i = 0; i < 300; ++i) {
      auto damaged = good;
      const Random4 r = random4(1, Purpose::weights, 0, i, 0);
      for (uint32_t k = 0; k < 1 + r.v[3] % 4; ++k) {
        const Random4 hit = random4(1, Purpose::weights, 1, i, k);
        damaged[random_below(hit.v[0], uint32_t(good.size()))] ^= uint8_t(1u << (hit.v[1] % 8));
      }
      if (i % 3 == 0) damaged.resize(random_below(r.v[2], uint32_t(good.size())));
      try {
        const Image image = decode_image(damaged, name);
        ASSERT_EQ(image.pixels.size(), size_t(image.height) * size_t(image.width) * 3);
      } catch (const Error& error) {
        ASSERT_EQ(error.fault(), Fault::input) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace retort
