// Data sets of four .npy files.
#include "datasets/readers/npy_set.h"

#include "datasets/formats/npy.h"
#include "datasets/open.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {
namespace {

std::vector<uint8_t> ramp(int64_t n) {
  std::vector<uint8_t> bytes(static_cast<size_t>(n));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * 7 + i / 100);
  return bytes;
}

template <class Label>
void write_set(const TempFolder& folder, int64_t side, int64_t channels, const std::vector<Label>& train,
               const std::vector<Label>& test) {
  const auto images = [&](const char* part, size_t n) {
    const std::vector<uint8_t> bytes = ramp(int64_t(n) * side * side * channels);
    write_npy<uint8_t>(folder / (std::string(part) + "_images.npy"), {int64_t(n), side, side, channels},
                       bytes);
  };
  images("train", train.size());
  images("test", test.size());
  write_npy<Label>(folder / "train_labels.npy", {int64_t(train.size())}, train);
  write_npy<Label>(folder / "test_labels.npy", {int64_t(test.size())}, test);
}

TEST(NpySet, ImagesAndLabels) {
  TempFolder folder;
  write_set<int64_t>(folder, 16, 3, {2, 0, 1, 2}, {1, 0});
  const DataSet data = open_dataset("npy:" + folder.path().string());
  EXPECT_TRUE(data.train.in_memory());
  EXPECT_EQ(data.train.classes, 3);
  EXPECT_EQ(data.train.labels, (std::vector<int32_t>{2, 0, 1, 2}));
  EXPECT_EQ(data.train.images, ramp(4 * 16 * 16 * 3));
  EXPECT_EQ(data.test.class_names[2], "2");
  EXPECT_GT(data.train.mean[0], 0.1f);
  EXPECT_EQ(data.test.mean, data.train.mean);
  EXPECT_EQ(open_dataset("npy:" + folder.path().string(), Parts::test).test.mean, data.train.mean);

  write_set<uint8_t>(folder, 16, 1, {0, 1}, {1});
  const DataSet grey = open_dataset("npy:" + folder.path().string());
  EXPECT_EQ(grey.train.images[0], grey.train.images[2]);
  EXPECT_EQ(grey.train.images[3], ramp(2)[1]);

  write_set<int32_t>(folder, 80, 3, {0, 1}, {1});
  const DataSet photos = open_dataset("npy:" + folder.path().string(), DataOptions{.size = 80});
  ASSERT_FALSE(photos.train.in_memory());
  PictureReader reader;
  std::vector<uint8_t> out(80 * 80 * 3);
  photos.test.read(0, reader, out.data());
  EXPECT_EQ(out, ramp(80 * 80 * 3));
}

TEST(NpySet, SmallImagesKeepTheirSizeAsPhotos) {
  TempFolder folder;
  write_set<int64_t>(folder, 48, 3, {0, 1}, {1});
  const DataSet data = read_npy_set(folder.path(), DataOptions{.network_size = 32, .random_crops = true});
  ASSERT_FALSE(data.train.in_memory());
  EXPECT_EQ(data.train.height, 48);
  EXPECT_EQ(data.train.photo.size, 48);
}

TEST(NpySet, WhatDoesNotFit) {
  TempFolder folder;
  const auto refused = [&](const std::string& part) {
    expect_fault(Fault::input, part, [&] { read_npy_set(folder.path()); });
  };
  refused("test_images.npy");
  write_set<int64_t>(folder, 8, 3, {0, 1}, {2});
  refused("test_labels.npy: class 2 has no training images");
  write_set<int64_t>(folder, 8, 3, {0, -1}, {0});
  refused("train_labels.npy: element 1 is -1");
  write_set<int64_t>(folder, 8, 3, {0, 1}, {0});
  write_npy<int64_t>(folder / "train_labels.npy", {3}, std::vector<int64_t>{0, 1, 1});
  refused("train_labels.npy: 3 labels of 2 images");
  write_npy<float>(folder / "test_images.npy", {1, 8, 8, 3}, std::vector<float>(192));
  refused("test_images.npy: holds f32 [1, 8, 8, 3], expected u8 [N, H, W, 3]");
  expect_fault(Fault::input, "npy: no folder", [] { read_npy_set("/nowhere"); });
}

}  // namespace
}  // namespace retort::testing
