// Photos in folders as data sets: in memory where they are small, read when needed elsewhere; what a bad file
// does.
#include "datasets/readers/folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "datasets/formats/jpeg_turbo.h"
#include "datasets/open.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"

namespace retort::testing {
namespace {

std::string photo_bytes(const std::string& name) {
  const std::vector<uint8_t> bytes = InputFile(photo(name)).read_all(1 << 20);
  return {bytes.begin(), bytes.end()};
}

TEST(Folder, SmallImagesAreHeldInMemory) {
  TempFolder folder;
  write_photo_folder(folder, 4, 2, 24);
  const DataSet data = open_dataset("folder:" + folder.path().string());
  EXPECT_TRUE(data.train.in_memory() && data.test.in_memory());
  EXPECT_EQ(data.train.size(), 12);
  EXPECT_EQ(data.train.height, 24);
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"amber", "beryl", "coral"}));
  EXPECT_EQ(data.train.labels, (std::vector<int32_t>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}));
  for (int64_t i = 0; i < 12; ++i) {
    const Image expected = class_picture(int(i / 4), int(i % 4), 24, 24);
    ASSERT_TRUE(std::equal(expected.pixels.begin(), expected.pixels.end(), data.train.image(i))) << i;
  }
  // One that is larger: all are photos.
  folder.write("train/amber/9.png", png_of(class_picture(0, 9, 25, 24)));
  const DataSet photos = open_dataset("folder:" + folder.path().string());
  EXPECT_FALSE(photos.train.in_memory() || photos.test.in_memory());
  EXPECT_EQ(photos.train.height, 224);
  EXPECT_EQ(photos.train.photo.resize, 256);
}

TEST(Folder, PhotosAreReadAsTheyAreTested) {
  TempFolder folder;
  write_photo_folder(folder, 3, 2);
  DataOptions options{.size = 32, .resize = 40};
  for (const int64_t cache : {int64_t(0), int64_t(40'000), int64_t(1) << 30}) {
    options.cache_bytes = cache;
    const DataSet data = open_dataset("folder:" + folder.path().string(), options);
    ASSERT_FALSE(data.test.in_memory());
    PictureReader reader;
    std::vector<uint8_t> out(32 * 32 * 3);
    for (int round = 0; round < 2; ++round)
      for (int64_t i = 0; i < data.test.size(); ++i) {
        data.test.read(i, reader, out.data());
        const int label = int(i / 2), number = 3 + int(i % 2);
        const Image whole = class_picture(label, number, 40 + 7 * number, 50 + 11 * ((number + label) % 5));
        ASSERT_EQ(out, fit_image(whole, 32, 40).image.pixels) << i << ", cache of " << cache;
      }
  }
}

// Small ones of one size keep it, whatever is made of them, for a network of another size too.
TEST(Folder, SmallImagesKeepTheirSizeAsPhotos) {
  TempFolder folder;
  write_photo_folder(folder, 4, 2, 48);
  const std::string spec = "folder:" + folder.path().string();
  const DataOptions crops{.network_size = 32, .random_crops = true, .known_numbers = true};
  for (const bool both : {true, false}) {
    DataOptions options = crops;
    if (!both) options.parts = Parts::test;
    const DataSet data = open_dataset(spec, options);
    ASSERT_FALSE(data.test.in_memory());
    EXPECT_EQ(data.test.height, 48);
    EXPECT_EQ(data.test.photo.size, 48);
    EXPECT_EQ(data.test.photo.resize, 48);
  }
  DataOptions cut{.network_size = 32, .resize = 56, .known_numbers = true};
  EXPECT_EQ(open_dataset(spec, cut).train.height, 48) << "resized before the centre is cut out";
  cut.size = 32;
  EXPECT_EQ(open_dataset(spec, cut).train.height, 32);
  folder.write("train/amber/9.png", png_of(class_picture(0, 9, 50, 50)));
  EXPECT_EQ(open_dataset(spec, crops).train.height, 32) << "not of one size";
}

TEST(Folder, NumbersAreMeasuredAsStored) {
  TempFolder folder;
  write_photo_folder(folder, 3, 1);
  double n = 0, sums[3] = {}, squares[3] = {};
  for (int c = 0; c < 3; ++c)
    for (int i = 0; i < 3; ++i) {
      const Image image = class_picture(c, i, 40 + 7 * i, 50 + 11 * ((i + c) % 5));
      n += double(image.pixels.size() / 3);
      for (size_t p = 0; p < image.pixels.size(); ++p) {
        sums[p % 3] += image.pixels[p] / 255.;
        squares[p % 3] += image.pixels[p] / 255. * image.pixels[p] / 255.;
      }
    }
  const DataSet data = open_dataset("folder:" + folder.path().string());
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(double(data.train.mean[c]), sums[c] / n, 1e-6);
    EXPECT_NEAR(double(data.train.stddev[c]), std::sqrt(squares[c] / n - sums[c] / n * sums[c] / n), 1e-6);
  }
  EXPECT_EQ(data.train.numbers_from, "measured on 9 training images");
  EXPECT_EQ(data.test.mean, data.train.mean);
  const DataSet test = open_dataset("folder:" + folder.path().string(), Parts::test);
  EXPECT_EQ(test.test.mean, data.train.mean) << "of training images, whichever part is read";
  const DataSet known =
      open_dataset("folder:" + folder.path().string(), DataOptions{.imagenet_numbers = true});
  EXPECT_EQ(known.train.mean[0], .485f);

  TempFolder tiny;
  tiny.write("train/n01/images/0.JPEG", photo_bytes("png-inside.JPEG"));
  tiny.write("val/images/1.JPEG", photo_bytes("png-inside.JPEG"));
  tiny.write("val/val_annotations.txt", "1.JPEG\tn01\t0\t0\t9\t9\n");
  EXPECT_EQ(open_dataset("folder:" + tiny.path().string()).train.mean[0], .4802f);
}

// Content decides what a file is; what is no picture is an error that names it.
TEST(Folder, OddAndBadFiles) {
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  const std::string name = "train/amber/odd.jpg";
  const auto put = [&](const std::string& content) {
    std::filesystem::remove(folder / name);  // the folder changes with it: it is listed anew
    folder.write(name, content);
  };
  const auto read = [&] {
    const DataSet data =
        open_dataset("folder:" + folder.path().string(), DataOptions{.size = 32, .known_numbers = true});
    PictureReader reader;
    std::vector<uint8_t> out(32 * 32 * 3);
    for (int64_t i = 0; i < data.train.size(); ++i) data.train.read(i, reader, out.data());
  };
  for (const char* good : {"png-inside.JPEG", "grey.jpg", "one-pixel.jpg", "progressive-420.jpg"}) {
    put(photo_bytes(good));
    EXPECT_NO_THROW(read()) << good;
  }
  const auto cmyk =
      InputFile(std::filesystem::path(data_folder()) / "images/cmyk-adobe.jpg").read_all(1 << 20);
  put({cmyk.begin(), cmyk.end()});
  EXPECT_NO_THROW(read());
  put("just text");
  expect_fault(Fault::input, name, [&] { read(); });
  put(photo_bytes("truncated.jpg"));
  expect_fault(Fault::input, name, [&] { read(); });
  put("\x1f\x8b\x08" + photo_bytes("grey.jpg"));
  expect_fault(Fault::input, "gzip", [&] { read(); });
  put("");
  expect_fault(Fault::input, name, [&] { read(); });
  // 20000 x 20000, by its header.
  std::string huge = png_of(class_picture(0, 0, 8, 8));
  huge.replace(16, 8, std::string("\0\0\x4e\x20\0\0\x4e\x20", 8));
  const uint32_t crc = crc32(std::as_bytes(std::span(huge.data() + 12, 17)));
  huge.replace(29, 4, {char(crc >> 24), char(crc >> 16), char(crc >> 8), char(crc)});
  put(huge);
  expect_fault(Fault::input, "an image of 20000 x 20000 pixels", [&] { read(); });
}

TEST(Folder, BadSmallImagesStopOrAreSkipped) {
  TempFolder folder;
  write_photo_folder(folder, 400, 1, 8);
  folder.write("train/beryl/7.png", "text");
  const std::string spec = "folder:" + folder.path().string();
  expect_fault(Fault::input, "train/beryl/7.png", [&] { open_dataset(spec); });
  const DataSet data = open_dataset(spec, DataOptions{.skips_bad = true});
  ASSERT_TRUE(data.train.in_memory());
  // By name: 0, 1, 10, 100, ...
  const auto next =
      std::find_if(data.train.labels.begin(), data.train.labels.end(), [](int l) { return l == 1; });
  ASSERT_NE(next, data.train.labels.end());
  folder.write("train/beryl/9.png", "text");
  expect_fault(Fault::input, "2 of 1,200 training images are bad, more than the 0.1 %",
               [&] { open_dataset(spec, DataOptions{.skips_bad = true}); });
  std::filesystem::remove(folder / "train/beryl/9.png");
  folder.write("val/beryl/400.png", "text");
  expect_fault(Fault::input, "val/beryl/400.png",
               [&] { open_dataset(spec, DataOptions{.skips_bad = true}); });
}

TEST(Folder, Verify) {
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  EXPECT_EQ(verify_folder(folder.path(), "", Decoder::stb).good, 9);
  folder.write("train/coral/0.png", photo_bytes("truncated.jpg"));
  folder.write("val/amber/2.png", "text");
  const VerifiedFolder found = verify_folder(folder.path(), "", Decoder::stb, 3);
  EXPECT_EQ(found.good, 7);
  ASSERT_EQ(found.bad.size(), 2u);
  EXPECT_NE(found.bad[0].find("train/coral/0.png: damaged JPEG file"), std::string::npos) << found.bad[0];
  EXPECT_NE(found.bad[1].find("val/amber/2.png: "), std::string::npos) << found.bad[1];
  if (!turbo_built()) return;
  std::string more = photo_bytes("colour-420.jpg");
  more.insert(more.size() - 2, 40, '\0');
  folder.write("train/beryl/0.png", more);
  const VerifiedFolder by_turbo = verify_folder(folder.path(), "", Decoder::turbo);
  ASSERT_EQ(by_turbo.bad.size(), 3u);
  EXPECT_NE(by_turbo.bad[0].find("extraneous bytes before marker"), std::string::npos) << by_turbo.bad[0];
}

}  // namespace
}  // namespace retort::testing
