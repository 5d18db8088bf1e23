#include "distill/settings/data_options.h"

#include <gtest/gtest.h>

#include "distill/settings/setting_keys.h"
#include "engine/base/memory.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_fault;

RunSettings with(const std::string& model, const std::vector<std::pair<std::string, std::string>>& keys) {
  RunSettings settings;
  settings.model = model;
  for (const auto& [key, value] : keys) set_key(settings, key, value);
  return settings;
}

TEST(DataOptions, FollowTheNetworkWhereNothingIsSet) {
  const DataOptions small = data_options(with("resnet8", {})), large = data_options(with("MobileNetV1", {}));
  EXPECT_EQ(small.network_size, 32);
  EXPECT_FALSE(small.imagenet_numbers);
  EXPECT_EQ(large.network_size, 224);
  EXPECT_TRUE(large.imagenet_numbers);
  EXPECT_EQ(large.size, 0);
  EXPECT_FALSE(large.random_crops || large.known_numbers || large.skips_bad);
  EXPECT_EQ(large.photo, PhotoOptions{});
  EXPECT_EQ(large.cache_bytes, memory_limit() / 4);
}

TEST(DataOptions, ProcessesOfAMachineShareWhatIsKept) {
  const int64_t alone = data_options(with("resnet8", {})).cache_bytes;
  share_memory(4);
  EXPECT_EQ(data_options(with("resnet8", {})).cache_bytes, alone / 4);
  EXPECT_EQ(data_options(with("resnet8", {{"data.cache_gib", "0.5"}})).cache_bytes, int64_t{1} << 29);
  share_memory(1);
}

TEST(DataOptions, SayWhatIsSet) {
  const DataOptions options = data_options(with("resnet8", {{"data.size", "48"},
                                                            {"data.test_resize", "56"},
                                                            {"data.augment", "resized-crop"},
                                                            {"data.scale", "0.2 0.9"},
                                                            {"data.ratio", "0.5 2"},
                                                            {"data.bad", "skip"},
                                                            {"data.cache_gib", "0.5"},
                                                            {"data.mean", "0.5 0.5 0.5"},
                                                            {"data.std", "0.2 0.2 0.2"}}));
  EXPECT_EQ(options.size, 48);
  EXPECT_EQ(options.resize, 56);
  EXPECT_TRUE(options.random_crops && options.skips_bad && options.known_numbers);
  EXPECT_EQ(options.photo.scale, (std::array<double, 2>{0.2, 0.9}));
  EXPECT_EQ(options.photo.ratio, (std::array<double, 2>{0.5, 2}));
  EXPECT_EQ(options.cache_bytes, int64_t{1} << 29);
}

TEST(DataOptions, OfDetectorsTakeWhatCounts) {
  const DataOptions options = data_options(with("rcnn_tiny", {{"data.size", "64"}, {"data.decoder", "stb"}}));
  EXPECT_EQ(options, DataOptions{});
  for (const auto& [key, value] : {std::pair("data.test_resize", "80"),
                                   {"data.scale", "0.2 0.9"},
                                   {"data.ratio", "0.5 2"},
                                   {"data.views", "2"},
                                   {"data.cache_gib", "1"},
                                   {"data.bad", "skip"},
                                   {"data.val_labels", "labels.txt"}})
    expect_fault(Fault::usage, std::string(key) + " is not for the pictures of detectors",
                 [&, k = key, v = value] {
                   data_options(with("rcnn_tiny", {{k, v}}));
                 });
}

TEST(DataOptions, RangesAreTwoAscendingNumbers) {
  for (const char* text : {"2 1", "0 1", "0.5", "0.1 0.2 0.3", "a b", "0.5 1.5"})
    expect_fault(Fault::usage, "data.scale is", [&] {
      data_options(with("resnet8", {{"data.scale", text}}));
    });
  expect_fault(Fault::usage, "data.ratio is", [] { data_options(with("resnet8", {{"data.ratio", "2 1"}})); });
}

TEST(DataOptions, TestImagesAreAsTheWeightsKnow) {
  Weights weights;
  weights.file.metadata = {{"size", "48"}, {"test_resize", "56"}, {"mean", "0.5 0.5 0.5"}};
  const DataOptions known = test_options({}, weights, "resnet8");
  EXPECT_EQ(known.size, 48);
  EXPECT_EQ(known.resize, 56);
  EXPECT_TRUE(known.known_numbers);
  EXPECT_EQ(known.parts, Parts::test);
  EXPECT_EQ(known.cache_bytes, 0);
  DataSettings other;
  other.size = 32;
  EXPECT_EQ(test_options(other, weights, "resnet8").resize, 0) << "56 belongs to 48";
  other.test_resize = 40;
  EXPECT_EQ(test_options(other, weights, "resnet8").resize, 40);
  EXPECT_FALSE(test_options({}, {}, "resnet8").known_numbers);
}

}  // namespace
}  // namespace retort
