// A whole training step: that it could be captured, what memory it takes, that it learns.
#include <gtest/gtest.h>

#include <cmath>

#include "distill/methods.h"
#include "engine/step_graph.h"
#include "models/model.h"

namespace retort {
namespace {

constexpr int64_t batch = 8, classes = 10;

struct Step {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> student, teacher;
  std::unique_ptr<Distiller> distiller;
  std::unique_ptr<Sgd> optimizer;
  Array images, labels;

  Step(const std::string& device_name, const std::string& method, int threads = 2)
      : device(Device::open({.name = device_name, .threads = threads})) {
    student = make_model("resnet8", *device, {.classes = classes});
    teacher = make_model("resnet14", *device, {.classes = classes});
    initialize(*student, *device, 1);
    initialize(*teacher, *device, 2);
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
    distiller = make_distiller(MethodSettings(method), *device);
    distiller->begin_epoch(5);
    optimizer = std::make_unique<Sgd>(*device, parameters_of(*student), SgdOptions{});
    images = device->persistent({batch, 32, 32, 3}, DType::f32);
    labels = device->persistent({batch}, DType::i32);
    std::vector<double> pixels;
    for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
    write_values(*device, images, pixels);
    std::vector<int32_t> label(batch);
    for (int64_t i = 0; i < batch; ++i) label[size_t(i)] = int32_t(i % classes);
    device->backend().upload(labels, label.data());
  }

  double run() {
    device->step_arena().rewind();
    Tape tape(*device);
    const Pass pass{*device, &tape, true};
    const Var taught = (*teacher)(Var(images.tensor), Pass{*device});
    const Var logits = (*student)(Var(images.tensor), pass);
    const Var loss = total(distiller->terms({{logits, taught}, Var(labels)}, pass), pass);
    tape.backward(loss);
    optimizer->step();
    return read_values(*device, loss)[0];
  }
};

class TrainingStep : public testing::TestWithParam<std::string> {};

TEST_P(TrainingStep, RepeatsItsAddressesSoThatItCanBeCaptured) {
  Step step("portable", GetParam());
  std::vector<uint64_t> traces;
  for (int i = 0; i < 4; ++i) {
    step.run();
    traces.push_back(step.device->step_arena().trace());
  }
  EXPECT_TRUE(step.device->step_arena().steady());
  EXPECT_EQ(traces[2], traces[3]);
}

TEST_P(TrainingStep, LearnsOneBatchByHeart) {
  for (const std::string& device : available_devices()) {
    Step step(device, GetParam());
    const double first = step.run();
    double last = first;
    for (int i = 0; i < 15; ++i) last = step.run();
    EXPECT_LT(last, first) << device;
  }
}

TEST_P(TrainingStep, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const std::string& device : available_devices()) {
    std::vector<std::vector<double>> weights;
    for (int threads : {1, 2, 3}) {
      Step step(device, GetParam(), threads);
      for (int i = 0; i < 3; ++i) step.run();
      weights.push_back(read_values(*step.device, step.optimizer->values()));
    }
    EXPECT_EQ(weights[0], weights[1]) << device;
    EXPECT_EQ(weights[0], weights[2]) << device;
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, TrainingStep,
                         testing::Values("ce", "kd", "dkd", "dist", "pcd", "pcd-released"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(TrainingStep, TheTeacherIsFoldedToTheSameLogits) {
  Step step("portable", "kd");
  // Statistics and affine parameters that are not those of a new network.
  for (int i = 0; i < 3; ++i) step.run();
  const Pass pass{*step.device};
  const std::vector<double> plain = read_values(*step.device, (*step.student)(Var(step.images.tensor), pass));
  fold_batch_norms(*step.student, *step.device);
  const std::vector<double> folded =
      read_values(*step.device, (*step.student)(Var(step.images.tensor), pass));
  for (size_t i = 0; i < plain.size(); ++i)
    EXPECT_NEAR(folded[i], plain[i], 1e-4 * std::max(1.0, std::abs(plain[i])));
}

}  // namespace
}  // namespace retort
