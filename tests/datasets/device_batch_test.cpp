// Batches that the device renders from the set's bytes are those that the loader makes, to the bit.
#include "datasets/device_batch.h"

#include <gtest/gtest.h>

#include "datasets/open.h"
#include "engine/types.h"
#include "layers/module.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"

namespace retort {
namespace {

using testing::expect_fault;

TEST(DeviceBatch, RendersWhatTheLoaderMakes) {
  const DataSet data = open_dataset("synthetic:train=96,test=24");
  for (const std::string& name : available_devices()) {
    for (Augment augment : {Augment::none, Augment::crop_flip}) {
      const auto device = Device::open({.name = name, .threads = 2});
      LoaderOptions options{.batch = 40, .seed = 5, .augment = augment, .workers = 0};
      Loader with_pixels(data.train, options);
      options.pixels = false;
      Loader without(data.train, options);
      DeviceBatch uploaded(*device, data.train, 40, {}, false), rendered(*device, data.train, 40, {}, true);
      for (int epoch : {1, 2}) {
        with_pixels.begin_epoch(epoch);
        without.begin_epoch(epoch);
        int batches = 0;
        while (const HostBatch* host = with_pixels.next()) {
          const HostBatch* numbers = without.next();
          ASSERT_TRUE(numbers && !numbers->images);
          const Batch expected = uploaded.upload(*host), found = rendered.upload(*numbers);
          uploaded.render(expected);
          rendered.render(found);
          EXPECT_EQ(read_values(*device, found.images), read_values(*device, expected.images)) << name;
          for (const auto& [a, b] : {std::pair{found.labels, expected.labels},
                                     {found.indices, expected.indices},
                                     {found.views, expected.views}}) {
            std::vector<int32_t> of_a(size_t(a.size())), of_b(size_t(b.size()));
            device->backend().download(of_a.data(), a);
            device->backend().download(of_b.data(), b);
            EXPECT_EQ(of_a, of_b) << name;
          }
          ++batches;
        }
        EXPECT_EQ(without.next(), nullptr);
        EXPECT_EQ(batches, 3) << "the last one is smaller";
      }
    }
  }
}

// Of photos the host gives bytes, which the device normalises: the same numbers, for both networks.
TEST(DeviceBatch, NormalizesPhotos) {
  testing::TempFolder folder;
  testing::write_photo_folder(folder, 4, 1);
  const DataSet data =
      open_dataset("folder:" + folder.path().string(), DataOptions{.size = 40, .resize = 44});
  ASSERT_FALSE(data.train.in_memory());
  const Normalize own{{.1f, .2f, .3f}, {.4f, .5f, .6f}}, other{{.5f, .4f, .3f}, {.2f, .3f, .4f}};
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 2});
    LoaderOptions options{.batch = 5, .seed = 3, .augment = Augment::resized_crop, .workers = 0};
    options.normalize = own;
    options.other = other;
    Loader with_pixels(data.train, options);
    options.pixels = false;
    Loader bytes(data.train, options);
    const DeviceBatchOptions numbers{.normalize = own, .other = other};
    DeviceBatch uploaded(*device, data.train, 5, numbers, false),
        rendered(*device, data.train, 5, numbers, true);
    with_pixels.begin_epoch(1);
    bytes.begin_epoch(1);
    int64_t images = 0;
    while (const HostBatch* host = with_pixels.next()) {
      const HostBatch* plain = bytes.next();
      ASSERT_TRUE(plain && !plain->images && plain->bytes);
      const Batch expected = uploaded.upload(*host), found = rendered.upload(*plain);
      uploaded.render(expected);
      rendered.render(found);
      EXPECT_EQ(read_values(*device, found.images), read_values(*device, expected.images)) << name;
      EXPECT_EQ(read_values(*device, found.other_images), read_values(*device, expected.other_images))
          << name;
      EXPECT_NE(read_values(*device, found.images), read_values(*device, found.other_images));
      images += host->size;
    }
    EXPECT_EQ(images, 12);
  }
}

// A second network sees the same pictures by its own numbers, both views of them, whoever makes them.
TEST(DeviceBatch, RendersForTwoNetworks) {
  const DataSet data = open_dataset("synthetic:train=40,test=24");
  const Normalize own{{.1f, .2f, .3f}, {.4f, .5f, .6f}}, other{{.5f, .4f, .3f}, {.2f, .3f, .4f}};
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 2});
    const auto pictures = [&](const Normalize& normalize, std::optional<Normalize> second, bool rendering) {
      Loader loader(data.train, {.batch = 24,
                                 .seed = 5,
                                 .workers = 0,
                                 .pixels = !rendering,
                                 .strong = true,
                                 .normalize = normalize,
                                 .other = second});
      DeviceBatch batches(*device, data.train, 24, {.strong = true, .normalize = normalize, .other = second},
                          rendering);
      std::vector<std::vector<double>> all;
      loader.begin_epoch(1);
      while (const HostBatch* host = loader.next()) {
        const Batch batch = batches.upload(*host);
        batches.render(batch);
        for (const Tensor& t : {batch.images, batch.strong, batch.other_images, batch.other_strong})
          all.push_back(read_values(*device, t));
      }
      EXPECT_EQ(all.size(), 8u);
      return all;
    };
    const auto alone = pictures(own, {}, false), taught = pictures(other, {}, false);
    for (const bool rendering : {false, true}) {
      SCOPED_TRACE(text(name, ", rendering ", rendering));
      EXPECT_EQ(pictures(own, {}, rendering), alone);
      const auto both = pictures(own, other, rendering);
      for (size_t i = 0; i < both.size(); ++i)
        EXPECT_EQ(both[i], i % 4 < 2 ? alone[i] : taught[i - 2]) << "tensor " << i;
    }
  }
}

// Drawn in 16 bits with more channels they are the same pictures, rounded, and zeros.
TEST(DeviceBatch, DrawsIn16BitsWithRoomForTheTensorCores) {
  const DataSet data = open_dataset("synthetic:train=24,test=24");
  for (const std::string& name : available_devices()) {
    for (const DType type : {DType::bf16, DType::f16}) {
      SCOPED_TRACE(text(name, ", ", type));
      const auto device = Device::open({.name = name, .threads = 2});
      Loader loader(data.train, {.batch = 16, .seed = 5, .workers = 0, .pixels = false});
      DeviceBatch plain(*device, data.train, 16, {}, true),
          padded(*device, data.train, 16, {.type = type, .channels = 8}, true);
      loader.begin_epoch(1);
      while (const HostBatch* host = loader.next()) {
        const Batch expected = plain.upload(*host), found = padded.upload(*host);
        plain.render(expected);
        padded.render(found);
        ASSERT_EQ(found.images.shape, (Shape{host->size, 32, 32, 8}));
        ASSERT_EQ(found.images.type, type);
        std::vector<float> pixels(size_t(expected.images.size()));
        std::vector<uint16_t> bits(size_t(found.images.size()));
        device->backend().download(pixels.data(), expected.images);
        device->backend().download(bits.data(), found.images);
        for (size_t i = 0; i < bits.size(); ++i)
          ASSERT_EQ(bits[i], i % 8 < 3 ? bits16_of(type, pixels[i / 8 * 3 + i % 8]) : 0) << i;
      }
    }
  }
}

TEST(DeviceBatch, RefusesABatchWithoutPixelsThatItCannotRender) {
  const DataSet data = open_dataset("synthetic:train=24,test=24");
  const auto device = Device::open({.name = "portable", .threads = 1});
  Loader loader(data.train, {.batch = 8, .workers = 0, .pixels = false});
  loader.begin_epoch(1);
  DeviceBatch batch(*device, data.train, 8, {}, false);
  const HostBatch* host = loader.next();
  expect_fault(Fault::internal, "no pixels", [&] { batch.upload(*host); });
  DeviceBatch small(*device, data.train, 4, {}, true);
  expect_fault(Fault::internal, "at most 4", [&] { small.upload(*host); });
}

}  // namespace
}  // namespace retort
