// Crops of photos against the formulas and against torchvision's pixels (data/photos.py).
#include "datasets/augment/photo_view.h"

#include <algorithm>
#include <set>

#include "datasets/augment/augment.h"
#include "datasets/formats/jpeg_turbo.h"
#include "engine/base/file.h"
#include "tests/support/photos.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

std::vector<uint8_t> drawn(const Image& image, const PhotoView& view) {
  std::vector<uint8_t> out(size_t(view.cut.height) * size_t(view.cut.width) * 3);
  PhotoDrawer().draw(view_of(image).part(view.crop), view, out.data());
  return out;
}

TEST(PhotoView, ResizedCropsByTheirFormulas) {
  std::set<bool> flips;
  const nlohmann::json file = reference_file("photos.json");
  for (const nlohmann::json& row : file["views"]) {
    PhotoOptions options;
    for (size_t i = 0; i < 2; ++i) {
      options.scale[i] = row["scale"][i];
      options.ratio[i] = row["ratio"][i];
    }
    const PhotoView view =
        resized_crop(row["seed"], row["epoch"], row["sample"], {row["photo"][0], row["photo"][1]}, options);
    EXPECT_EQ(view.crop, (Box{row["crop"][0], row["crop"][1], row["crop"][2], row["crop"][3]})) << row;
    EXPECT_EQ(view.flip, row["flip"]) << row;
    EXPECT_EQ(view.cut, (Box{0, 0, 224, 224}));
    flips.insert(view.flip);
  }
  EXPECT_EQ(flips.size(), 2u);
}

// A JPEG, decoded, cropped, resized, mirrored: torchvision's pixels on Pillow's.
TEST(PhotoView, TorchvisionsPixels) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  PictureDecoder pictures(Decoder::turbo);
  PhotoDrawer drawer;
  std::vector<uint8_t> out(224 * 224 * 3);
  const nlohmann::json file = reference_file("photos.json");
  for (const nlohmann::json& row : file["pipeline"]) {
    const std::vector<uint8_t> content = InputFile(photo(row["file"])).read_all(1 << 20);
    PhotoView view;
    const PixelView whole = pictures.decode(content, "photo", [&](const PictureSize& size) {
      view = centre_crop(size, {});
      return view.crop;
    });
    drawer.draw(whole, view, out.data());
    EXPECT_EQ(pixel_hash(out), row["centre"].get<std::string>()) << row;

    const Box crop{row["crop"][0], row["crop"][1], row["crop"][2], row["crop"][3]};
    const PixelView part = pictures.decode(content, "photo", [&](const PictureSize&) { return crop; });
    drawer.draw(part, {.crop = crop, .height = 224, .width = 224, .cut = {0, 0, 224, 224}, .flip = true},
                out.data());
    EXPECT_EQ(pixel_hash(out), row["random"].get<std::string>()) << row;
  }
}

// At sizes of CIFAR's sort crop-flip is what augment_image() does with an image in memory.
TEST(PhotoView, PaddedCropsAsInMemory) {
  const Image image = ruled_picture(32, 32);
  const PhotoOptions options{.size = 32, .resize = 32};
  for (uint32_t sample = 0; sample < 300; ++sample) {
    std::vector<uint8_t> expected(32 * 32 * 3);
    augment_image(
        image.pixels.data(), 32, 32, 3, view_of(9, 4, sample), [](uint8_t byte, int) { return byte; }, 0, 1,
        expected.data());
    ASSERT_EQ(drawn(image, padded_crop(9, 4, sample, {32, 32}, options)), expected) << sample;
  }
  // Larger squares move by an eighth.
  int largest = 0;
  for (uint32_t sample = 0; sample < 2000; ++sample)
    largest = std::max(largest, std::abs(padded_crop(1, 1, sample, {300, 400}, {}).down));
  EXPECT_EQ(largest, 28);
}

}  // namespace
}  // namespace retort::testing
