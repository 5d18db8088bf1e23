// A forward pass in slices of the batch gives the bits of the whole batch, or is not taken.
#include "models/sliced_forward.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/device.h"

namespace retort {
namespace {

std::vector<std::string> cpu_devices() {
  std::vector<std::string> names;
  for (const std::string& name : available_devices())
    if (name != "cuda") names.push_back(name);
  return names;
}

std::vector<double> numbers(int64_t count) {
  std::vector<double> values;
  uint32_t seed = 7;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values.push_back(double(seed >> 8) / (1 << 24) - 0.5);
  }
  return values;
}

TEST(SlicedForward, TheRuleLooksAtActivationsAndCache) {
  EXPECT_EQ(images_per_slice(64 << 10, 1 << 20), 16);
  EXPECT_EQ(images_per_slice(64 << 10, 2 << 20), 32);
  EXPECT_EQ(images_per_slice(128 << 10, 1 << 20), 0) << "8 images are too few";
  EXPECT_EQ(images_per_slice(64 << 10, 0), 0) << "a system that does not tell its cache";
  EXPECT_EQ(images_per_slice(64 << 10, -1), 0);
  EXPECT_EQ(images_per_slice(0, 1 << 20), 0);
}

TEST(SlicedForward, HasTheBitsOfTheWholeBatch) {
  for (const std::string& name : cpu_devices()) {
    Profile profile;
    const auto device = Device::open({.name = name, .threads = 2, .profile = &profile});
    const auto model = make_model("resnet8", *device, {.classes = 10});
    initialize(*model, *device, 1);
    fold_batch_norms(*model, *device);
    // 32 x 32 x 16 floats are the largest activation.
    const int64_t of_one = images_per_slice(64 << 10, ::sysconf(_SC_LEVEL2_CACHE_SIZE));
    EXPECT_EQ(images_per_slice(*model, *device, 1), of_one);
    EXPECT_EQ(images_per_slice(*model, *device, 2), 0);
    const auto logits = [&](SlicedForward& forward, const Array& images) {
      device->step_arena().rewind();
      return read_values(*device, forward(Var(images.tensor)));
    };
    const auto convolutions = [&](SlicedForward& forward, const Array& images) {
      profile.clear();
      profile.begin();
      logits(forward, images);
      profile.end();
      int count = 0;
      for (const ProfiledCall& call : profile.calls()) count += std::string(call.op) == "conv2d";
      return count;
    };
    SlicedForward whole(*model, *device, 0), sliced(*model, *device, 16);
    for (const auto& [batch, slices] : {std::pair<int64_t, int>{64, 4}, {39, 2}, {31, 1}, {3, 1}}) {
      const Array images = device->persistent({batch, 32, 32, 3}, DType::f32);
      write_values(*device, images, numbers(images.tensor.size()));
      const std::vector<double> expected = logits(whole, images);
      EXPECT_EQ(logits(sliced, images), expected) << name << ", the first batch of " << batch;
      EXPECT_EQ(logits(sliced, images), expected) << name << ", batch " << batch;
      EXPECT_EQ(convolutions(sliced, images), slices * convolutions(whole, images)) << name << ' ' << batch;
    }
  }
}

// Its logits tell how many images there were.
class Counting : public Model {
 public:
  Counting() { classes = 2; }
  Outputs forward(const Var& images, const Pass& pass, bool) override {
    Outputs outputs;
    outputs.logits = pass.make({images.shape()[0], classes}, DType::f32);
    pass.backend().fill(outputs.logits, double(images.shape()[0]));
    return outputs;
  }
  void visit(Visitor&) override {}
};

TEST(SlicedForward, IsNotTakenWhereABitWouldChange) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  Counting model;
  SlicedForward forward(model, *device, 16);
  const Array images = device->persistent({64, 4, 4, 3}, DType::f32, 1);
  for (int repeat = 0; repeat < 3; ++repeat)
    EXPECT_EQ(read_values(*device, forward(Var(images.tensor))), std::vector<double>(128, 64.0));
}

}  // namespace
}  // namespace retort
