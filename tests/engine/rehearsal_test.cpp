// Training, distillation and evaluation as the CUDA backend will be asked for them, on a device that computes
// nothing and obeys its rules.
#include <gtest/gtest.h>

#include "datasets/device_batch.h"
#include "datasets/open.h"
#include "distill/evaluate/evaluate.h"
#include "distill/evaluate/metric_totals.h"
#include "distill/methods/registry.h"
#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "distill/train/step.h"
#include "engine/types.h"
#include "tests/support/class_similarity.h"
#include "tests/support/expect_error.h"
#include "tests/support/rehearsal_backend.h"

namespace retort {
namespace {

using testing::RehearsalBackend;

constexpr int64_t batch_size = 4;

class Rehearsal {
 public:
  explicit Rehearsal(Precision precision) {
    auto backend = std::make_unique<RehearsalBackend>();
    backend_ = backend.get();
    device_ = std::make_unique<Device>(std::move(backend), false, precision);
  }
  Device& device() { return *device_; }
  RehearsalBackend& backend() { return *backend_; }

 private:
  std::unique_ptr<Device> device_;
  RehearsalBackend* backend_ = nullptr;
};

const DataSet& images() {
  static const DataSet data = open_dataset("synthetic:train=10,test=10");
  return data;
}

// Two epochs of batches of 4, 4 and 2: each size runs eagerly first, then is captured, then replayed.
// other: how the teacher sees images, if not as the student.
void rehearse(const std::string& model, const std::string& teacher_model, const std::string& method,
              Precision precision, const std::optional<Normalize>& other = {},
              const std::optional<double>& delta = {}) {
  SCOPED_TRACE(text(model, " from ", teacher_model, ", ", method, ", ", name_of(precision)));
  Rehearsal rehearsal(precision);
  Device& device = rehearsal.device();
  const ImageSet& set = images().train;
  const std::string borrowed =
      method_settings(method).method().reads.borrows_classifier ? "+" + teacher_model : "";
  const auto student = make_model(model + borrowed, device, {.classes = set.classes});
  const auto teacher = make_model(teacher_model, device, {.classes = set.classes});
  initialize(*student, device, 1);
  initialize(*teacher, device, 2);
  freeze(*teacher);
  fold_batch_norms(*teacher, device);
  const MethodSettings of_method = method_settings(method);
  RunSettings settings = default_settings("distill");
  settings.method = of_method;
  settings.epochs = 4;
  std::vector<int32_t> samples;
  for (int32_t i = 0; i < int32_t(set.size()); ++i) samples.push_back(i);
  MethodContext context = method_context(settings, *student, teacher.get(), device, set, samples);
  if (of_method.method().reads.class_similarity)
    context.class_similarity = some_class_similarity(set.classes);
  const auto distiller = make_distiller(of_method, device, context);
  initialize(*distiller, device, 1);
  const bool narrow = views_read(of_method) == 1 && !delta && is_16_bit(image_type(precision));
  Sgd optimizer(device, learned_parameters(*student, *distiller, narrow ? &device : nullptr, true),
                {.loss_scaling = precision == Precision::fp16, .dot_delta = delta});
  const MethodInfo::Reads& reads = of_method.method().reads;
  const bool strong = views_read(of_method) == 2;
  DeviceBatchOptions drawing{.strong = strong, .other = other};
  if (narrow) drawing.draw_for(precision);
  DeviceBatch device_batch(device, set, batch_size, drawing);
  Loader loader(set, {.batch = batch_size, .workers = 0, .pixels = false, .strong = strong, .other = other});
  std::map<int64_t, std::vector<uint64_t>> traces;  // of the steps that ran, by batch size
  int64_t in_progress = 0;                          // size of the batch
  TrainingStep step({.device = device,
                     .student = *student,
                     .distiller = *distiller,
                     .optimizer = optimizer,
                     .teacher = reads.teacher ? teacher.get() : nullptr,
                     .renderer = &device_batch,
                     .end = [&] { traces[in_progress].push_back(device.step_arena().trace()); }});
  for (int epoch = 1; epoch <= 4; ++epoch) {
    distiller->begin_epoch(epoch);
    optimizer.set_learning_rate(0.1 / epoch);
    loader.begin_epoch(epoch);
    while (const HostBatch* host = loader.next()) {
      const Batch batch = device_batch.upload(*host);
      in_progress = batch.size();
      step.run(batch);
    }
    step.totals().read();
  }
  EXPECT_EQ(rehearsal.backend().captures, 2);
  EXPECT_GE(rehearsal.backend().replays, 4);
  // A replayed step finds its memory where the last eager one had it.
  for (const auto& [size, of_size] : traces) {
    ASSERT_GE(of_size.size(), 2u);
    EXPECT_EQ(of_size[of_size.size() - 2], of_size.back()) << "batches of " << size;
  }
}

TEST(CudaRehearsal, EveryModelTrainsInEveryPrecision) {
  for (const char* model : {"resnet8", "resnet20a", "resnet8x4", "wrn_16_1", "vgg8", "MobileNetV2",
                            "ShuffleV1", "ShuffleV2", "ResNet18", "resnet18_imagenet", "MobileNetV1"}) {
    for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::fp16})
      rehearse(model, "resnet8", "kd", precision);
  }
}

TEST(CudaRehearsal, EveryMethodTrainsInEveryPrecision) {
  for (const MethodInfo& method : methods()) {
    for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::fp16})
      rehearse("resnet8", "resnet14", method.name, precision);
  }
}

TEST(CudaRehearsal, TwoGradientsTrainInEveryPrecision) {
  for (const char* method : {"kd", "swap", "crd", "ce"}) {
    for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::fp16})
      rehearse("resnet8", "resnet14", method, precision, {}, 0.075);
  }
}

TEST(CudaRehearsal, ATeacherWithOwnNumbersIsShownItsOwnImages) {
  for (const char* method : {"kd", "mlkd", "reviewkd"})
    rehearse("resnet8", "resnet14", method, Precision::tf32, Normalize{{.5f, .4f, .3f}, {.2f, .3f, .4f}});
}

TEST(CudaRehearsal, AnEvaluationIsCapturedOncePerBatchSize) {
  for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::fp16}) {
    Rehearsal rehearsal(precision);
    const auto model = make_model("resnet8", rehearsal.device(), {.classes = images().test.classes});
    initialize(*model, rehearsal.device(), 1);
    Evaluator evaluator(*model, rehearsal.device(), images().test,
                        {.batch = 4, .per_class = true, .samples = {}});
    for (int i = 0; i < 4; ++i) EXPECT_EQ(evaluator.run().n, 10);
    EXPECT_EQ(rehearsal.backend().captures, 2);
  }
}

// That the rehearsal notices what it is for.
TEST(CudaRehearsal, WhatACaptureForbidsIsRefused) {
  Rehearsal rehearsal(Precision::fp32);
  Device& device = rehearsal.device();
  const Array x = device.persistent({3}, DType::f32), whole = device.persistent({3}, DType::f64);
  rehearsal.backend().begin_capture();
  float values[3] = {};
  for (const auto& forbidden : std::vector<std::function<void()>>{
           [&] { device.backend().upload(x, values); }, [&] { device.backend().download(values, x); },
           [&] { device.backend().synchronise(); }, [&] { device.scalar(1); },
           [&] { device.backend().allocate(256); }, [&] { device.backend().begin_capture(); }})
    testing::expect_fault(Fault::internal, "while a step is captured", forbidden);
  rehearsal.backend().end_capture();
  testing::expect_fault(Fault::internal, "no kernel for", [&] { device.backend().copy(x, {whole}); });
  testing::expect_fault(Fault::internal, "no kernel for",
                        [&] { device.backend().unary({Unary::exp}, whole, {whole}); });
}

}  // namespace
}  // namespace retort
