// A captured step does what the same step does eagerly, to the bit; on every backend that can capture.
#include <gtest/gtest.h>

#include <cmath>

#include "distill/methods/registry.h"
#include "distill/train/step.h"
#include "models/model.h"

namespace retort {
namespace {

constexpr int64_t batch = 8, classes = 10;

std::vector<std::string> capturing_devices() {
  std::vector<std::string> names;
  for (const std::string& name : available_devices())
    if (Device::open({.name = name, .threads = 1})->backend().can_capture()) names.push_back(name);
  return names;
}

// The weights after some steps whose images and learning rate change, the last of each epoch on a smaller
// batch.
std::vector<double> trained(const std::string& device_name, const std::string& method, bool capture) {
  const auto device = Device::open({.name = device_name, .threads = 1});
  const auto student = make_model("resnet8", *device, {.classes = classes});
  const auto teacher = make_model("resnet14", *device, {.classes = classes});
  initialize(*student, *device, 1);
  initialize(*teacher, *device, 2);
  freeze(*teacher);
  fold_batch_norms(*teacher, *device);
  const auto distiller = make_distiller(method_settings(method), *device);
  distiller->begin_epoch(5);
  Sgd optimizer(*device, parameters_of(*student), {});
  const Array images = device->persistent({batch, 32, 32, 3}, DType::f32),
              labels = device->persistent({batch}, DType::i32);
  TrainingStep training({.device = *device,
                         .student = *student,
                         .distiller = *distiller,
                         .optimizer = optimizer,
                         .teacher = teacher.get(),
                         .capture = capture});
  for (int step = 0; step < 9; ++step) {
    const int64_t size = step % 3 == 2 ? batch / 2 : batch;
    std::vector<float> pixels;
    for (int64_t i = 0; i < images.tensor.size(); ++i)
      pixels.push_back(std::sin(0.37f * float(i + 1000 * step)));
    std::vector<int32_t> label(batch);
    for (int64_t i = 0; i < batch; ++i) label[size_t(i)] = int32_t((i + step) % classes);
    device->backend().upload(images, pixels.data());
    device->backend().upload(labels, label.data());
    optimizer.set_learning_rate(0.05 / (1 + step));
    const Tensor x{images.tensor.data, {size, 32, 32, 3}, DType::f32};
    const Tensor y{labels.tensor.data, {size}, DType::i32};
    Batch of_images;
    of_images.images = of_images.other_images = x;
    of_images.labels = y;
    training.run(of_images);
  }
  return read_values(*device, optimizer.values());
}

TEST(Capture, EqualsEager) {
  const std::vector<std::string> devices = capturing_devices();
  if (devices.empty()) GTEST_SKIP() << "no backend here can capture a step";
  for (const std::string& device : devices) {
    for (const char* method : {"ce", "kd", "dkd", "dist", "pcd-released"})
      EXPECT_EQ(trained(device, method, true), trained(device, method, false)) << device << ", " << method;
  }
}

TEST(Capture, ARunWithoutItIsTheSameEverywhere) {
  for (const std::string& device : available_devices())
    EXPECT_EQ(trained(device, "kd", false), trained(device, "kd", false)) << device;
}

}  // namespace
}  // namespace retort
