#include "datasets/detection/detection_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace retort {
namespace {

// Pictures of the sizes given, each with one box; pixel (y, x) is (y, x, number).
DetectionPart part_of(const std::vector<std::pair<int, int>>& sizes) {
  DetectionPart part;
  part.annotations.categories = {{1, "one"}, {2, "two"}};
  int64_t id = 0;
  for (const auto& [height, width] : sizes) {
    ++id;
    part.annotations.images.push_back({id, "", width, height});
    part.annotations.annotations.push_back({id, id, 1 + id % 2, {2, 3, 10, 6}, 60, false});
  }
  part.picture = [sizes](int64_t i) {
    const auto [height, width] = sizes[size_t(i)];
    Image image{height, width, {}};
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (const int v : {y, x, int(i)}) image.pixels.push_back(uint8_t(v));
    return image;
  };
  return part;
}

struct Seen {
  std::vector<std::vector<int32_t>> images;
  std::vector<HostDetections> batches;
};

Seen epoch_of(DetectionLoader& loader, int epoch, int64_t first = 0) {
  Seen seen;
  loader.begin_epoch(epoch, first);
  while (const HostDetections* batch = loader.next()) {
    seen.batches.push_back(*batch);
    auto& images = seen.images.emplace_back();
    for (const DetectionSample& s : batch->samples) images.push_back(s.image);
  }
  return seen;
}

const std::vector<std::pair<int, int>> mixed = {{20, 40}, {40, 20}, {30, 50}, {50, 30}, {20, 44},
                                                {40, 40}, {44, 20}, {20, 40}, {20, 40}};

TEST(DetectionLoader, BatchesAreWideOrTallAndPadded) {
  const DetectionPart part = part_of(mixed);
  DetectionLoader loader(part, {.batch = 2, .flip = false, .workers = 0});
  const Seen seen = epoch_of(loader, 1);
  EXPECT_EQ(loader.batches(), 3 + 2);  // 6 wide or square, 3 tall
  EXPECT_EQ(int64_t(seen.batches.size()), loader.batches());
  std::set<int32_t> all;
  for (const HostDetections& batch : seen.batches) {
    EXPECT_EQ(batch.height % 32, 0);
    EXPECT_EQ(batch.width % 32, 0);
    const bool wide = batch.samples[0].width >= batch.samples[0].height;
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      const DetectionSample& s = batch.samples[i];
      all.insert(s.image);
      EXPECT_EQ(s.width >= s.height, wide);
      ASSERT_EQ(s.objects.size(), 1u);
      EXPECT_EQ(s.objects[0].label, (s.image + 1) % 2);
      const auto pixel = [&](int64_t y, int64_t x, int64_t c) {
        return batch.images[size_t(((int64_t(i) * batch.height + y) * batch.width + x) * 3 + c)];
      };
      EXPECT_FLOAT_EQ(pixel(s.height - 1, s.width - 1, 0), float(s.height - 1) / 255);
      EXPECT_FLOAT_EQ(pixel(3, 7, 1), 7.0f / 255);
      EXPECT_FLOAT_EQ(pixel(3, 7, 2), float(s.image) / 255);
      EXPECT_TRUE(s.width == batch.width || pixel(3, s.width, 1) == 0);
      EXPECT_TRUE(s.height == batch.height || pixel(s.height, 0, 2) == 0);
    }
  }
  EXPECT_EQ(all.size(), mixed.size());
}

TEST(DetectionLoader, IsAFunctionOfSeedEpochAndBatch) {
  const DetectionPart part = part_of(mixed);
  DetectionLoader one(part, {.batch = 2, .sides = {24, 32, 48}, .workers = 0}),
      two(part, {.batch = 2, .sides = {24, 32, 48}, .workers = 3}),
      other(part, {.batch = 2, .seed = 2, .sides = {24, 32, 48}, .workers = 0});
  const Seen first = epoch_of(one, 3), threads = epoch_of(two, 3), late = epoch_of(two, 3, 2);
  EXPECT_EQ(first.images, threads.images);
  for (size_t b = 0; b < first.batches.size(); ++b)
    EXPECT_EQ(first.batches[b].images, threads.batches[b].images);
  ASSERT_EQ(late.batches.size(), first.batches.size() - 2);
  EXPECT_EQ(late.batches[0].images, first.batches[2].images);
  EXPECT_NE(epoch_of(one, 4).images, first.images);
  EXPECT_NE(epoch_of(other, 3).images, first.images);
  one.begin_epoch(3);
  EXPECT_EQ(one.samples_before(2), int64_t(first.images[0].size() + first.images[1].size()));
}

TEST(DetectionLoader, BoxesFollowTheirPictures) {
  const DetectionPart part = part_of({{20, 40}, {20, 40}, {20, 40}, {20, 40}, {20, 40}, {20, 40}});
  DetectionLoader loader(part, {.batch = 6, .sides = {40}, .workers = 0});
  const HostDetections batch = epoch_of(loader, 1).batches.at(0);
  int mirrored = 0;
  for (size_t i = 0; i < 6; ++i) {
    const DetectionSample& s = batch.samples[i];
    EXPECT_EQ(s.height, 40);
    EXPECT_EQ(s.width, 80);
    EXPECT_EQ(s.original_width, 40);
    const CocoRect& box = s.objects.at(0).box;
    const float left = batch.images[(i * 64 * 96) * 3 + 1];
    const bool flip = left > 30.0f / 255;  // the picture's right edge came left
    mirrored += flip;
    EXPECT_DOUBLE_EQ(box.x, flip ? 80 - 4 - 20 : 4);
    EXPECT_DOUBLE_EQ(box.y, 6);
    EXPECT_DOUBLE_EQ(box.width, 20);
    EXPECT_DOUBLE_EQ(box.height, 12);
  }
  EXPECT_GT(mirrored, 0);
  EXPECT_LT(mirrored, 6);
}

TEST(DetectionLoader, LongSidesAreBounded) {
  const DetectionPart part = part_of({{20, 200}, {1, 1}});
  DetectionLoader loader(part, {.batch = 1, .training = false, .sides = {40}, .longest = 100, .workers = 0});
  const Seen seen = epoch_of(loader, 1);
  std::set<std::pair<int, int>> sizes;
  for (const HostDetections& b : seen.batches) sizes.insert({b.samples[0].height, b.samples[0].width});
  EXPECT_EQ(sizes, (std::set<std::pair<int, int>>{{10, 100}, {40, 40}}));
}

// Where nobody says how large pictures become, a very long one would take the memory of all others.
TEST(DetectionLoader, LongSidesAreBoundedWhereNoSizeIsSaid) {
  const DetectionPart part = part_of({{30, 2000}, {20, 1333}});
  DetectionLoader loader(part, {.batch = 2, .flip = false, .sides = {}, .workers = 0});
  const Seen seen = epoch_of(loader, 1);
  ASSERT_EQ(seen.batches.size(), 1u);
  EXPECT_EQ(seen.batches[0].height, 32);
  EXPECT_EQ(seen.batches[0].width, 1344);
  for (const DetectionSample& s : seen.batches[0].samples) {
    EXPECT_EQ(s.height, 20);
    EXPECT_EQ(s.width, 1333);
    EXPECT_DOUBLE_EQ(s.objects.at(0).box.width, s.image == 0 ? 10 * 1333.0 / 2000 : 10);
  }
}

TEST(DetectionLoader, BoxesTooThinForF32AreNotLearnedFrom) {
  const CocoImage wide{1, "", 1024, 64};
  EXPECT_FALSE(learned_from({1000, 2, 2e-5, 20}, wide)) << "1000.00002 is 1000 in f32";
  EXPECT_FALSE(learned_from({2, 63, 20, 1.2e-6}, wide));
  EXPECT_TRUE(learned_from({10, 2, 2e-5, 20}, wide));
  EXPECT_TRUE(learned_from({1000, 2, 1e-4, 20}, wide));
  EXPECT_EQ(learned_from({1000, 2, 100, 20}, wide)->width, 24) << "clipped";
  // A picture that has none but such a box is not trained on.
  DetectionPart part = part_of({{64, 1024}, {64, 1024}});
  part.annotations.annotations[0].box = {1000, 2, 2e-5, 20};
  DetectionLoader loader(part, {.batch = 1, .workers = 0});
  EXPECT_EQ(loader.samples(), 1);
}

TEST(DetectionLoader, TestBatchesHoldPicturesOfOneSizeAsTheyAre) {
  const DetectionPart part = part_of(mixed);
  DetectionLoader loader(part, {.batch = 2, .training = false, .workers = 0});
  const Seen seen = epoch_of(loader, 1);
  size_t images = 0;
  for (const HostDetections& batch : seen.batches) {
    images += batch.samples.size();
    for (const DetectionSample& s : batch.samples) {
      EXPECT_EQ(s.height, batch.samples[0].height);
      EXPECT_EQ(s.width, batch.samples[0].width);
      EXPECT_TRUE(s.objects.empty());
    }
  }
  EXPECT_EQ(images, mixed.size());
  EXPECT_EQ(epoch_of(loader, 5).images, seen.images);
}

TEST(DetectionLoader, ImagesWithoutObjectsAreNotTrainedOn) {
  DetectionPart part = part_of(mixed);
  part.annotations.annotations.erase(part.annotations.annotations.begin() + 2);
  part.annotations.annotations[0].crowd = true;
  DetectionLoader loader(part, {.batch = 3, .workers = 0});
  EXPECT_EQ(loader.samples(), 7);
  DetectionLoader some(part, {.batch = 3, .workers = 0, .limit = 2});
  EXPECT_EQ(some.samples(), 2);
  DetectionLoader tested(part, {.batch = 3, .training = false, .workers = 0});
  EXPECT_EQ(tested.samples(), 9);
}

}  // namespace
}  // namespace retort
