// Batches of photos: functions of seed, epoch and image, whoever decodes them and whatever is kept; bad
// photos.
#include "datasets/loader.h"

#include <algorithm>
#include <filesystem>

#include "datasets/formats/jpeg_turbo.h"
#include "datasets/open.h"
#include "datasets/readers/pack.h"
#include "datasets/readers/picture_files.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/flat_pictures.h"
#include "tests/support/peak_memory.h"
#include "tests/support/photo_folder.h"

namespace retort::testing {
namespace {

struct Epoch {
  std::vector<float> pixels;
  std::vector<int32_t> labels, indices;
  bool operator==(const Epoch&) const = default;
};

Epoch epoch_of(Loader& loader, const ImageSet& set, int epoch, int64_t first_batch = 0) {
  Epoch all;
  loader.begin_epoch(epoch, first_batch);
  while (const HostBatch* batch = loader.next()) {
    all.pixels.insert(all.pixels.end(), batch->images, batch->images + batch->size * set.image_bytes());
    all.labels.insert(all.labels.end(), batch->labels, batch->labels + batch->size);
    all.indices.insert(all.indices.end(), batch->indices, batch->indices + batch->size);
  }
  return all;
}

LoaderOptions options_of(Augment augment, int workers) {
  LoaderOptions options{.batch = 7, .seed = 11, .augment = augment, .workers = workers};
  return options;
}

TEST(PhotoLoader, SameBatchesForAnyWorkersAndCache) {
  TempFolder folder;
  write_photo_folder(folder, 12, 1);
  const std::string spec = "folder:" + folder.path().string();
  pack_folder(folder.path(), folder / "p", "", 100'000);
  DataOptions opening{.size = 40, .resize = 48, .known_numbers = true};
  const DataSet data = open_dataset(spec, opening);
  for (const Augment augment : {Augment::resized_crop, Augment::crop_flip, Augment::none}) {
    Loader plain(data.train, options_of(augment, 0));
    const Epoch first = epoch_of(plain, data.train, 1), second = epoch_of(plain, data.train, 2);
    ASSERT_EQ(first.labels.size(), 36u);
    EXPECT_NE(first.pixels, second.pixels);
    for (const int64_t cache : {int64_t(0), int64_t(200'000), int64_t(1) << 30}) {
      opening.cache_bytes = cache;
      for (const std::string& place : {spec, "pack:" + (folder / "p").string()}) {
        const DataSet kept = open_dataset(place, opening);
        for (const int workers : {0, 1, 8}) {
          Loader loader(kept.train, options_of(augment, workers));
          EXPECT_EQ(epoch_of(loader, kept.train, 1), first)
              << workers << " workers, cache " << cache << ", " << place;
          EXPECT_EQ(epoch_of(loader, kept.train, 2), second)
              << workers << " workers, cache " << cache << ", " << place;
        }
      }
    }
    // From the middle on.
    const Epoch rest = epoch_of(plain, data.train, 2, 3);
    EXPECT_TRUE(std::equal(rest.pixels.rbegin(), rest.pixels.rend(), second.pixels.rbegin()));
    EXPECT_EQ(rest.labels.size(), 36u - 21);
  }
}

// Each image is the crop that the formulas give, normalised.
TEST(PhotoLoader, ImagesAreTheirCrops) {
  TempFolder folder;
  write_photo_folder(folder, 4, 1);
  const DataSet data = open_dataset("folder:" + folder.path().string(), DataOptions{.size = 33});
  Loader loader(data.train, options_of(Augment::resized_crop, 2));
  const Epoch found = epoch_of(loader, data.train, 5);
  const NormalizeTable normalize(normalize_of(data.train));
  for (size_t i = 0; i < found.indices.size(); ++i) {
    const int32_t sample = found.indices[i];
    const int label = sample / 4, number = sample % 4;
    EXPECT_EQ(found.labels[i], label);
    const Image whole = class_picture(label, number, 40 + 7 * number, 50 + 11 * ((number + label) % 5));
    const PhotoView view =
        resized_crop(11, 5, uint32_t(sample), {whole.height, whole.width}, data.train.photo);
    std::vector<uint8_t> bytes(33 * 33 * 3);
    PhotoDrawer().draw(view_of(whole).part(view.crop), view, bytes.data());
    for (size_t p = 0; p < bytes.size(); ++p)
      ASSERT_EQ(found.pixels[i * bytes.size() + p], normalize(bytes[p], int(p % 3))) << i << " " << p;
  }
}

TEST(PhotoLoader, BadPhotosStopOrTheNextGoodOneTakesTheirPlace) {
  TempFolder folder;
  write_photo_folder(folder, 350, 1, 9);
  folder.write("train/amber/0.png", png_of(class_picture(0, 0, 20, 30)));  // of another size: all are photos
  DataOptions opening{.size = 8, .known_numbers = true};
  const std::string spec = "folder:" + folder.path().string();
  const DataSet good = open_dataset(spec, opening);
  const auto place = [&](const std::string& name) {
    for (int64_t i = 0;; ++i)
      if (good.train.pictures->name_of(i) == name) return int32_t(i);
  };
  const int32_t bad = place("train/beryl/17.png");
  folder.write("train/beryl/17.png", "text");
  {
    const DataSet data = open_dataset(spec, opening);
    Loader loader(data.train, options_of(Augment::none, 2));
    expect_fault(Fault::input, "train/beryl/17.png", [&] { epoch_of(loader, data.train, 1); });
  }
  opening.skips_bad = true;
  const DataSet data = open_dataset(spec, opening);
  LoaderOptions in_order = options_of(Augment::none, 3);
  in_order.shuffle = false;
  Loader loader(data.train, in_order);
  const Epoch found = epoch_of(loader, data.train, 1);
  EXPECT_EQ(found.indices[size_t(bad)], bad + 1);
  EXPECT_EQ(found.indices[size_t(bad) + 1], bad + 1);
  epoch_of(loader, data.train, 2);
  EXPECT_EQ(loader.bad_pictures().count, 1) << "different ones are counted";
  EXPECT_NE(loader.bad_pictures().first.find("train/beryl/17.png"), std::string::npos);

  folder.write("train/coral/20.png", "text");
  expect_fault(Fault::input, "2 of 1,050 training images are bad, more than the 0.1 %",
               [&] { epoch_of(loader, data.train, 3); });
  // Test images are never passed over.
  folder.write("val/amber/350.png", "text");
  Loader test(data.test, LoaderOptions::evaluation(5));
  expect_fault(Fault::input, "val/amber/350.png", [&] { epoch_of(test, data.test, 0); });
}

// With a damaged JPEG among them, whatever its crop and wherever decoded photos are kept.
TEST(PhotoLoader, DamagedOnesAreReplacedWhateverIsKept) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  TempFolder folder;
  write_photo_folder(folder, 400, 1, 9);
  std::vector<uint8_t> jpeg = InputFile(photo("colour-420.jpg")).read_all(1 << 20);
  jpeg.insert(jpeg.end() - 2, 40, 0);  // what only who reads to the end can see
  folder.write("train/beryl/x.jpg", {jpeg.begin(), jpeg.end()});
  DataOptions opening{
      .size = 8, .random_crops = true, .decoder = Decoder::turbo, .skips_bad = true, .known_numbers = true};
  const std::string spec = "folder:" + folder.path().string();
  const auto trained_on = [&](int64_t cache) {
    opening.cache_bytes = cache;
    const DataSet data = open_dataset(spec, opening);
    Loader loader(data.train, options_of(Augment::resized_crop, 1));
    std::vector<Epoch> epochs;
    for (int epoch = 1; epoch <= 3; ++epoch) epochs.push_back(epoch_of(loader, data.train, epoch));
    EXPECT_EQ(loader.bad_pictures().count, 1);
    return epochs;
  };
  EXPECT_EQ(trained_on(0), trained_on(int64_t(1) << 30));
}

// One photo for each worker, whatever the batches that wait.
TEST(PhotoLoader, MemoryIsThatOfItsWorkers) {
  constexpr int side = 2048;
  TempFolder folder;
  for (const char* name :
       {"train/a/0.jpg", "train/a/1.jpg", "train/b/2.jpg", "train/b/3.jpg", "val/a/4.jpg", "val/b/5.jpg"})
    folder.write(name, flat_jpeg(side, 3, false));
  for (const Decoder decoder : {Decoder::stb, Decoder::turbo}) {
    if (decoder == Decoder::turbo && !turbo_built()) continue;
    const DataSet data = open_dataset("folder:" + folder.path().string(),
                                      DataOptions{.size = 32, .decoder = decoder, .known_numbers = true});
    LoaderOptions options = options_of(Augment::none, 1);
    options.batch = 1;
    Loader loader(data.train, options);
    const std::optional<int64_t> peak = peak_of([&] { epoch_of(loader, data.train, 1); });
    if (!peak) GTEST_SKIP() << "the system does not say how much memory was taken";
    const int64_t a_pixel = decoder == Decoder::stb ? 6 : 3;
    EXPECT_LE(*peak, a_pixel * side * side + (8 << 20)) << name_of(decoder);
  }
}

// All sets of a process share what may be kept.
TEST(PhotoLoader, DecodedPhotosOfAllSetsHaveOneRoom) {
  PictureRoom first(1000), second(1500);
  EXPECT_TRUE(first.take(600));
  EXPECT_FALSE(first.take(500));
  EXPECT_TRUE(second.take(800));
  EXPECT_FALSE(first.take(1));
  second.give_back(800);
  EXPECT_TRUE(first.take(400));
  first.give_back(1000);
  // What a set has kept goes with it.
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  {
    const DataSet data =
        open_dataset("folder:" + folder.path().string(),
                     DataOptions{.size = 40, .cache_bytes = int64_t(1) << 30, .known_numbers = true});
    Loader loader(data.train, options_of(Augment::none, 0));
    epoch_of(loader, data.train, 1);
    EXPECT_FALSE(first.take(1000));
  }
  EXPECT_TRUE(first.take(1000));
  first.give_back(1000);
}

TEST(PhotoLoader, WhatPhotosCannotBe) {
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  const DataSet data = open_dataset("folder:" + folder.path().string(), DataOptions{.size = 32});
  LoaderOptions options = options_of(Augment::resized_crop, 0);
  options.strong = true;
  expect_fault(Fault::usage, "these are photos", [&] { Loader(data.train, options); });
  const DataSet drawn = open_dataset("synthetic:train=24,test=24");
  expect_fault(Fault::usage, "resized-crop is for",
               [&] { Loader(drawn.train, options_of(Augment::resized_crop, 0)); });
}

}  // namespace
}  // namespace retort::testing
