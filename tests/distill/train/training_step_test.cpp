// A whole training step: that it could be captured, what memory it takes, that it learns.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "distill/methods/registry.h"
#include "distill/train/checkpoint.h"
#include "distill/train/step.h"
#include "models/model.h"
#include "tests/support/class_similarity.h"

namespace retort {
namespace {

constexpr int64_t batch = 8, classes = 10;

struct Step {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> student, teacher;
  std::unique_ptr<Distiller> distiller;
  std::unique_ptr<Sgd> optimizer;
  std::unique_ptr<retort::TrainingStep> step;
  Array images, labels, indices;

  Step(const std::string& device_name, const std::string& method, int threads = 2,
       const std::string& student_model = "resnet8", const std::string& teacher_model = "resnet14")
      : device(Device::open({.name = device_name, .threads = threads})) {
    const bool borrows = method_settings(method).method().reads.borrows_classifier;
    student = make_model(student_model + (borrows ? "+" + teacher_model : ""), *device, {.classes = classes});
    teacher = make_model(teacher_model, *device, {.classes = classes});
    initialize(*student, *device, 1);
    initialize(*teacher, *device, 2);
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
    MethodSettings settings = method_settings(method);
    if (method == "crd") settings.set("negatives", "40");
    MethodContext context;
    context.epochs = 20;
    context.student = feature_shapes(*student, *device);
    context.teacher = feature_shapes(*teacher, *device);
    context.teacher_norms = stage_norms(*teacher, *device);
    std::vector<int32_t> numbers(batch);
    for (int32_t i = 0; i < 60; ++i) {
      context.samples.push_back(i);
      context.labels.push_back(i % int32_t(classes));
    }
    if (settings.method().reads.class_similarity) context.class_similarity = some_class_similarity(classes);
    distiller = make_distiller(settings, *device, context);
    initialize(*distiller, *device, 3);
    distiller->begin_epoch(5);
    optimizer = std::make_unique<Sgd>(*device, learned_parameters(*student, *distiller), SgdOptions{0.01});
    images = device->persistent({batch, 32, 32, 3}, DType::f32);
    labels = device->persistent({batch}, DType::i32);
    indices = device->persistent({batch}, DType::i32);
    for (int64_t i = 0; i < batch; ++i) numbers[size_t(i)] = int32_t(10 + i);
    device->backend().upload(indices, numbers.data());
    std::vector<double> pixels;
    for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
    write_values(*device, images, pixels);
    std::vector<int32_t> label(batch);
    for (int64_t i = 0; i < batch; ++i) label[size_t(i)] = int32_t(i % classes);
    device->backend().upload(labels, label.data());
    step = std::make_unique<retort::TrainingStep>(StepParts{.device = *device,
                                                            .student = *student,
                                                            .distiller = *distiller,
                                                            .optimizer = *optimizer,
                                                            .teacher = teacher.get()});
  }

  // One step; its loss.
  double run() {
    step->totals().clear();
    Batch of_images;
    of_images.images = of_images.other_images = images.tensor;
    of_images.labels = labels.tensor;
    of_images.indices = indices.tensor;
    step->run(of_images);
    return step->totals().read().loss / double(batch);
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
  if (GetParam() == "crd") GTEST_SKIP() << "crd's first steps fill its memory: each has another loss";
  for (const std::string& device : available_devices()) {
    Step step(device, GetParam());
    const double first = step.run();
    double last = first;
    for (int i = 0; i < 8; ++i) last = step.run();
    EXPECT_LT(last, first) << device;
  }
}

TEST_P(TrainingStep, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const std::string& device : available_devices()) {
    std::vector<std::vector<double>> weights;
    for (int threads : {1, 2, 3}) {
      Step step(device, GetParam(), threads);
      for (int i = 0; i < 2; ++i) step.run();
      weights.push_back(read_values(*step.device, step.optimizer->values()));
    }
    EXPECT_EQ(weights[0], weights[1]) << device;
    EXPECT_EQ(weights[0], weights[2]) << device;
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, TrainingStep,
                         testing::Values("ce", "kd", "dkd", "dist", "ctkd", "tfkd-reg", "rc", "revision",
                                         "wttm", "gdkd", "ldrld", "wkd-l", "sp", "pkt", "nst", "vid", "ofd",
                                         "kdsvd", "simkd", "sdd-kd", "sdd-nkd", "pcd", "pcd-released",
                                         "fitnet", "at", "rkd", "crd", "reviewkd"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

// Every kind of network as student and as teacher, with every method that fits.
TEST(TrainingStep, FeaturesOfEveryFamily) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"wrn_16_1", "wrn_16_2"},  {"resnet8", "wrn_16_1"},  {"MobileNetV2", "vgg8"},
      {"ShuffleV1", "resnet14"}, {"ShuffleV2", "resnet8"}, {"vgg8", "vgg8"}};
  for (const auto& [student, teacher] : pairs) {
    for (const char* method : {"fitnet", "at", "rkd", "crd", "reviewkd", "sp", "pkt", "nst", "sdd-dkd"}) {
      Step step("auto", method, 2, student, teacher);
      EXPECT_TRUE(std::isfinite(step.run())) << student << ", " << teacher << ", " << method;
      for (const double w : read_values(*step.device, step.optimizer->values()))
        ASSERT_TRUE(std::isfinite(w));
    }
  }
}

// A convolution that only the unused classifier reads has no gradient: such students were refused in step 1.
TEST(TrainingStep, SimkdTrainsStudentsOfEveryFamily) {
  for (const char* student : {"resnet8", "wrn_16_1", "MobileNetV2", "ShuffleV1", "ShuffleV2", "vgg8"}) {
    SCOPED_TRACE(student);
    Step step("auto", "simkd", 2, student, "resnet8");
    EXPECT_TRUE(std::isfinite(step.run()));
    EXPECT_TRUE(std::isfinite(step.run()));
    for (const double w : read_values(*step.device, step.optimizer->values())) ASSERT_TRUE(std::isfinite(w));
  }
}

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
