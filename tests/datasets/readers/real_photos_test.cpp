// Photos as they lie in the world, and the order of classes and files, against Pillow 10 and torchvision
// (data/real_photos.py).
#include <cstdlib>
#include <filesystem>

#include "datasets/augment/photo_view.h"
#include "datasets/formats/jpeg_turbo.h"
#include "datasets/formats/picture_decoder.h"
#include "datasets/readers/folder_listing.h"
#include "engine/base/file.h"
#include "tests/support/photos.h"
#include "tests/support/reference.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::pair<int, std::string>> pairs(const json& files) {
  std::vector<std::pair<int, std::string>> all;
  for (const json& file : files) all.emplace_back(file[0], file[1]);
  return all;
}

std::vector<std::pair<int, std::string>> pairs(const std::vector<FolderListing::File>& files) {
  std::vector<std::pair<int, std::string>> all;
  for (const auto& file : files) all.emplace_back(file.label, file.path.substr(sizeof "train/" - 1));
  return all;
}

TEST(FolderListing, NumbersAsTorchvisionDoes) {
  const json expected = reference_file("real_photos.json")["made_up"];
  const TempFolder folder;
  for (const char* part : {"train", "val"})
    for (const auto& [label, file] : pairs(expected["files"])) folder.write(part + ("/" + file), "x");
  const FolderListing listing = list_folder(folder.path());
  EXPECT_EQ(json(listing.class_names), expected["classes"]);
  EXPECT_EQ(pairs(listing.train), pairs(expected["files"]));
}

class RealPhotos : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* given = std::getenv("RETORT_PHOTOS"); given != nullptr)
      folder_ = given;
    else
      GTEST_SKIP() << "RETORT_PHOTOS is not set";
  }

  std::vector<uint8_t> centre(PictureDecoder& decoder, const std::string& file, const json& size) {
    PhotoView view;
    const PixelView whole =
        decoder.decode(InputFile(folder_ / file).read_all(1 << 24), file, [&](const PictureSize& found) {
          EXPECT_EQ(json({found.width, found.height}), size) << file;
          view = centre_crop(found, {});
          return view.crop;
        });
    std::vector<uint8_t> out(224 * 224 * 3);
    drawer_.draw(whole, view, out.data());
    return out;
  }

  fs::path folder_;
  const json expected_ = reference_file("real_photos.json");
  PhotoDrawer drawer_;
};

TEST_F(RealPhotos, AreListedAsTorchvisionDoes) {
  const TempFolder both;
  for (const char* part : {"train", "val"}) fs::create_directory_symlink(folder_, both / part);
  const FolderListing listing = list_folder(both.path());
  EXPECT_EQ(json(listing.class_names), expected_["classes"]);
  json files;
  for (const json& photo : expected_["photos"]) files.push_back({photo["label"], photo["file"]});
  EXPECT_EQ(pairs(listing.train), pairs(files));
}

TEST_F(RealPhotos, TurboGivesTorchvisionsCentre) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  PictureDecoder decoder(Decoder::turbo);
  for (const json& photo : expected_["photos"])
    EXPECT_EQ(pixel_hash(centre(decoder, photo["file"], photo["size"])), photo["centre"].get<std::string>())
        << photo["file"];
}

// stb_image upsamples chroma and rounds otherwise. Measured: at most 3 levels of a pixel, 0.086 in the mean
// of a photo.
TEST_F(RealPhotos, StbIsNearTurbo) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  PictureDecoder stb(Decoder::stb), turbo(Decoder::turbo);
  double worst_mean = 0;
  int worst = 0;
  for (const json& photo : expected_["photos"]) {
    const std::vector<uint8_t> a = centre(stb, photo["file"], photo["size"]),
                               b = centre(turbo, photo["file"], photo["size"]);
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const int difference = std::abs(a[i] - b[i]);
      sum += difference;
      worst = std::max(worst, difference);
    }
    worst_mean = std::max(worst_mean, sum / double(a.size()));
  }
  EXPECT_LE(worst, 4);
  EXPECT_LE(worst_mean, 0.1);
}

}  // namespace
}  // namespace retort::testing
