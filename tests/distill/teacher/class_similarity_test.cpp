// How alike a teacher sees the classes, against the definition computed here in f64.
#include "distill/teacher/class_similarity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "datasets/loader.h"
#include "datasets/open.h"
#include "layers/module.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"

namespace retort {
namespace {

using Rows = std::vector<std::vector<double>>;

// The teacher's last map of one image: rows of channels.
Rows rows_of(Model& teacher, Device& device, const ImageSet& set, int32_t image) {
  device.step_arena().rewind();
  Loader loader(set, {image}, LoaderOptions::evaluation(1, 0));
  loader.begin_epoch(0);
  const HostBatch* host = loader.next();
  const Pass pass{device};
  const Var x = pass.make({1, set.height, set.width, 3}, DType::f32);
  device.backend().upload(x, host->images);
  const Var map = teacher.run(x, pass, true).stages.back();
  const std::vector<double> values = read_values(device, map);
  const auto channels = size_t(map.shape().last());
  Rows rows;
  for (size_t at = 0; at < values.size(); at += channels)
    rows.emplace_back(values.begin() + int64_t(at), values.begin() + int64_t(at + channels));
  return rows;
}

void centre(Rows& rows) {
  for (size_t c = 0; c < rows[0].size(); ++c) {
    double mean = 0;
    for (const auto& row : rows) mean += row[c] / double(rows.size());
    for (auto& row : rows) row[c] -= mean;
  }
}

double square_of_product(const Rows& y, const Rows& x) {
  double total = 0;
  for (size_t a = 0; a < y[0].size(); ++a) {
    for (size_t b = 0; b < x[0].size(); ++b) {
      double sum = 0;
      for (size_t r = 0; r < x.size(); ++r) sum += y[r][a] * x[r][b];
      total += sum * sum;
    }
  }
  return total;
}

TEST(ClassSimilarity, IsTheCentredKernelAlignment) {
  const DataSet data = open_dataset("synthetic:train=40,test=1");
  const auto device = Device::open({.name = "portable", .threads = 2});
  const auto teacher = make_model("resnet8", *device, {.classes = data.train.classes});
  initialize(*teacher, *device, 3);
  std::vector<int32_t> samples;
  for (int32_t i = 1; i < 40; ++i) samples.push_back(i);  // not all of them
  const auto classes = size_t(data.train.classes);
  std::vector<std::vector<int32_t>> of_class(classes);
  for (const int32_t i : samples) of_class[size_t(data.train.labels[size_t(i)])].push_back(i);
  size_t least = samples.size();
  for (const auto& images : of_class) least = std::min(least, images.size());
  ASSERT_GT(least, 0u);
  std::vector<Rows> features(classes);
  for (size_t c = 0; c < classes; ++c) {
    for (size_t i = 0; i < least; ++i) {
      for (auto& row : rows_of(*teacher, *device, data.train, of_class[c][i])) features[c].push_back(row);
    }
    centre(features[c]);
  }
  int64_t told = 0;
  const std::vector<double> found =
      class_similarity(*teacher, *device, data.train, samples, normalize_of(data.train),
                       [&](int64_t done, int64_t total) { told = done == total ? total : 0; });
  EXPECT_EQ(told, 1);
  ASSERT_EQ(found.size(), classes * classes);
  for (size_t i = 0; i < classes; ++i) {
    EXPECT_EQ(found[i * classes + i], 1);
    for (size_t j = 0; j < i; ++j) {
      const double expected = square_of_product(features[j], features[i]) /
                              std::sqrt(square_of_product(features[i], features[i]) *
                                        square_of_product(features[j], features[j]));
      EXPECT_NEAR(found[i * classes + j], expected, 1e-4 * expected) << i << " " << j;
      EXPECT_EQ(found[i * classes + j], found[j * classes + i]);
      EXPECT_LT(found[i * classes + j], 1);
    }
  }
}

// Another class's picture stands in for one that cannot be read (data.bad): its class had a row fewer than
// the others, and their product ended the program.
TEST(ClassSimilarity, APictureThatCannotBeReadIsLeftOut) {
  testing::TempFolder folder;
  testing::write_photo_folder(folder, 350, 1, 70);
  folder.write("train/amber/99.png", "text");  // the class's last
  const DataSet data = open_dataset("folder:" + folder.path().string(),
                                    DataOptions{.size = 32, .resize = 40, .skips_bad = true});
  ASSERT_FALSE(data.train.in_memory());
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto teacher = make_model("resnet8", *device, {.classes = data.train.classes});
  initialize(*teacher, *device, 3);
  std::vector<int32_t> samples;
  for (int32_t i = 0; i < data.train.size(); ++i) samples.push_back(i);
  const auto found = class_similarity(*teacher, *device, data.train, samples, normalize_of(data.train), {});
  EXPECT_EQ(found.size(), 9u);
  for (const double likeness : found) EXPECT_TRUE(likeness > 0 && likeness <= 1) << likeness;
}

// Photos' maps would fill a machine: their logits are compared, a row an image.
TEST(ClassSimilarity, OfPhotosIsThatOfLogits) {
  testing::TempFolder folder;
  testing::write_photo_folder(folder, 4, 1);
  const DataSet data =
      open_dataset("folder:" + folder.path().string(), DataOptions{.size = 32, .resize = 40});
  ASSERT_FALSE(data.train.in_memory());
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto teacher = make_model("resnet8", *device, {.classes = data.train.classes});
  initialize(*teacher, *device, 3);
  const auto classes = size_t(data.train.classes);
  std::vector<int32_t> samples;
  std::vector<Rows> features(classes);
  Loader loader(data.train, LoaderOptions::evaluation(1, 0));
  loader.begin_epoch(0);
  while (const HostBatch* host = loader.next()) {
    device->step_arena().rewind();
    samples.push_back(int32_t(samples.size()));
    const Pass pass{*device};
    const Var x = pass.make({1, 32, 32, 3}, DType::f32);
    device->backend().upload(x, host->images);
    features[size_t(host->labels[0])].push_back(read_values(*device, (*teacher)(x, pass)));
  }
  for (Rows& rows : features) centre(rows);
  const std::vector<double> found =
      class_similarity(*teacher, *device, data.train, samples, normalize_of(data.train));
  for (size_t i = 0; i < classes; ++i) {
    ASSERT_EQ(features[i].size(), 4u);
    for (size_t j = 0; j < i; ++j) {
      const double expected = square_of_product(features[j], features[i]) /
                              std::sqrt(square_of_product(features[i], features[i]) *
                                        square_of_product(features[j], features[j]));
      EXPECT_NEAR(found[i * classes + j], expected, 1e-4) << i << " " << j;
    }
  }
}

TEST(ClassSimilarity, NeedsAnImageOfEveryClass) {
  const DataSet data = open_dataset("synthetic:train=40,test=1");
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto teacher = make_model("resnet8", *device, {.classes = data.train.classes});
  initialize(*teacher, *device, 3);
  testing::expect_contains(
      testing::error_of(
          Fault::usage,
          [&] { class_similarity(*teacher, *device, data.train, {0}, normalize_of(data.train)); }),
      "expected at least one of each class");
}

}  // namespace
}  // namespace retort
