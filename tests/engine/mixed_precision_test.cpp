// 16-bit elements, loss scaling, and which device computes in what.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "distill/methods/registry.h"
#include "engine/kernels/loss_scale.h"
#include "engine/kernels/numbers/half.h"
#include "engine/step_graph.h"
#include "models/model.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_fault;

constexpr float infinity = std::numeric_limits<float>::infinity();

TEST(BFloat, KeepsEightBitsRoundedToEven) {
  EXPECT_EQ(bfloat_of(1.0f), 0x3f80);
  EXPECT_EQ(bfloat_of(-2.0f), 0xc000);
  EXPECT_EQ(float_of_bfloat(bfloat_of(1.0f + 0x1p-8f)), 1.0f);                // halfway: to the even one
  EXPECT_EQ(float_of_bfloat(bfloat_of(1.0f + 3 * 0x1p-8f)), 1.0f + 0x1p-6f);  // halfway: to the even one
  EXPECT_EQ(float_of_bfloat(bfloat_of(1.0f + 0x1.1p-8f)), 1.0f + 0x1p-7f);
  EXPECT_EQ(float_of_bfloat(bfloat_of(std::numeric_limits<float>::max())), infinity);
  EXPECT_EQ(float_of_bfloat(bfloat_of(-infinity)), -infinity);
  EXPECT_TRUE(std::isnan(float_of_bfloat(bfloat_of(std::nanf("")))));
  for (uint32_t bits = 0; bits < 65536; bits += 7) {
    const float x = float_of_bfloat(uint16_t(bits));
    if (!std::isnan(x)) {
      EXPECT_EQ(bfloat_of(x), bits);
    }
  }
}

TEST(Cast, RoundsToThe16BitTypesAndBack) {
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 1});
    const std::vector<double> values = {0, -0.0, 1, -2.5, 1.0 / 3, 65504, 1e-7, 3.14159};
    const Array x = device->persistent({int64_t(values.size())}, DType::f32);
    write_values(*device, x, values);
    for (DType type : {DType::f16, DType::bf16}) {
      const Array narrow = device->persistent(x.tensor.shape, type),
                  back = device->persistent(x.tensor.shape, DType::f32);
      device->backend().cast(x, narrow);
      device->backend().cast(narrow, back);
      const std::vector<double> found = read_values(*device, back);
      EXPECT_EQ(found, read_values(*device, narrow)) << name;
      for (size_t i = 0; i < values.size(); ++i) {
        const auto value = float(values[i]);
        EXPECT_EQ(found[i], type == DType::f16 ? float_of(half_of(value)) : float_of_bfloat(bfloat_of(value)))
            << name;
      }
      device->backend().cast(narrow, {back.tensor, Write::accumulate});
      for (size_t i = 0; i < values.size(); ++i)
        EXPECT_EQ(read_values(*device, back)[i], 2 * found[i]) << name;
    }
  }
}

TEST(Cast, ItsGradientHasTheTypeOfItsInput) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  Tape tape(*device);
  const Pass pass{*device, &tape};
  const Array memory = device->persistent({3}, DType::f32);
  write_values(*device, memory, {0.1, 0.2, 0.3});
  const Var x = tape.leaf(memory);
  const Var narrow = cast(pass, x, DType::bf16);
  EXPECT_EQ(narrow.type(), DType::bf16);
  const Var wide = cast(pass, narrow, DType::f32);
  tape.backward(sum_all(pass, wide, 3.0));
  EXPECT_EQ(tape.gradient(x).type, DType::f32);
  EXPECT_EQ(read_values(*device, tape.gradient(x)), std::vector<double>(3, 3.0));
}

TEST(ChannelShuffle, MovesElementsOf16Bits) {
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 1});
    Tape tape(*device);
    const Pass pass{*device, &tape};
    const Array memory = device->persistent({1, 6}, DType::f16);
    write_values(*device, memory, {0, 1, 2, 3, 4, 5});
    const Var x = tape.leaf(memory);
    const Var y = channel_shuffle(pass, x, 2);
    EXPECT_EQ(read_values(*device, y), (std::vector<double>{0, 3, 1, 4, 2, 5})) << name;
    const Array weights = device->persistent({1, 6}, DType::f32);
    write_values(*device, weights, {10, 11, 12, 13, 14, 15});
    tape.backward(sum_all(pass, mul(pass, cast(pass, y, DType::f32), Var(weights.tensor))));
    // y[2 j + g] = x[3 g + j]: the gradients go back where the values came from.
    EXPECT_EQ(read_values(*device, tape.gradient(x)), (std::vector<double>{10, 12, 14, 11, 13, 15})) << name;
  }
}

TEST(LossScale, SkipsAndHalvesAfterAnOverflowAndDoublesAfterManyGoodSteps) {
  double state[loss_scale_numbers] = {1024, 0, 0, 0};
  update_loss_scale(state);
  EXPECT_EQ(state[loss_scale_factor], 1.0 / 1024);
  EXPECT_EQ(state[loss_scale_value], 1024);
  state[loss_scale_not_finite] = 1;
  update_loss_scale(state);
  EXPECT_EQ(state[loss_scale_factor], 0);
  EXPECT_EQ(state[loss_scale_value], 512);
  EXPECT_EQ(state[loss_scale_not_finite], 0);
  for (int i = 0; i < steps_until_loss_scale_grows - 1; ++i) update_loss_scale(state);
  EXPECT_EQ(state[loss_scale_value], 512);
  update_loss_scale(state);
  EXPECT_EQ(state[loss_scale_value], 1024);
  EXPECT_EQ(state[loss_scale_factor], 1.0 / 512) << "these gradients carried the scale from before";
  state[loss_scale_value] = 1;
  state[loss_scale_not_finite] = 1;
  update_loss_scale(state);
  EXPECT_EQ(state[loss_scale_value], 1) << "it never falls below 1";
}

TEST(LossScale, AScaledRunEndsAtTheSameWeights) {
  for (const std::string& name : available_devices()) {
    std::vector<std::vector<double>> weights;
    for (bool scaled : {false, true}) {
      const auto device = Device::open({.name = name, .threads = 1});
      Parameter p(*device, {5});
      write_values(*device, p.value, {1, -2, 3, -4, 5});
      Sgd sgd(*device, {{"p", &p}}, {.loss_scaling = scaled});
      EXPECT_EQ(sgd.loss_scale() != nullptr, scaled);
      for (int step = 0; step < 3; ++step) {
        Tape tape(*device);
        const Pass pass{*device, &tape};
        tape.backward(sum_all(pass, square(pass, pass.parameter(p))), sgd.loss_scale());
        sgd.step();
      }
      weights.push_back(read_values(*device, sgd.values()));
    }
    // Powers of two change no digit; the fused multiply-add of the plain step does.
    for (size_t i = 0; i < weights[0].size(); ++i) EXPECT_NEAR(weights[0][i], weights[1][i], 1e-6) << name;
  }
}

TEST(LossScale, AStepWhoseGradientsOverflowChangesNothingButTheScale) {
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 1});
    Parameter p(*device, {2});
    write_values(*device, p.value, {3e34, 1});
    Sgd sgd(*device, {{"p", &p}}, {.loss_scaling = true});
    const std::vector<double> before = read_values(*device, sgd.values());
    Tape tape(*device);
    const Pass pass{*device, &tape};
    tape.backward(sum_all(pass, square(pass, pass.parameter(p))),
                  sgd.loss_scale());  // 2 * 3e34 * 65536 overflows
    sgd.step();
    EXPECT_EQ(read_values(*device, sgd.values()), before) << name;
    EXPECT_EQ(device->read(*sgd.loss_scale()), first_loss_scale / 2) << name;
    const auto state = sgd.momenta().back();
    EXPECT_EQ(state.first, "loss_scale");
    EXPECT_EQ(read_values(*device, state.second)[loss_scale_factor], 0) << name;
  }
}

TEST(Precision, NamesAreReadAndCheckedAgainstTheDevice) {
  EXPECT_EQ(precision_named("bf16"), Precision::bf16);
  EXPECT_EQ(image_type(Precision::tf32), DType::f32);
  expect_fault(Fault::usage, "fp8", [] { precision_named("fp8"); });
  for (const char* device : {"portable", "onednn"}) {
    for (Precision p : {Precision::tf32, Precision::bf16, Precision::fp16})
      expect_fault(Fault::usage, "computes in fp32 only",
                   [&] { Device::open({.name = device, .precision = p}); });
  }
  EXPECT_EQ(default_precision("cuda"), Precision::tf32);
  EXPECT_EQ(default_precision("portable"), Precision::fp32);
  EXPECT_EQ(resolved_device("portable"), "portable");
  EXPECT_EQ(resolved_device("auto"), available_devices().front());
}

// In every precision of a GPU a small network learns a batch by heart, and its logits stay near those of f32.
TEST(Precision, EveryModelFamilyTrainsIn16Bits) {
  if (available_devices().front() != "cuda") GTEST_SKIP() << "no device here computes in 16 bits";
  for (const char* name : {"resnet8", "wrn_16_1", "vgg8", "MobileNetV2", "ShuffleV1", "ShuffleV2"}) {
    std::vector<double> exact;
    for (Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16, Precision::fp16}) {
      const auto device = Device::open({.name = "cuda", .precision = precision});
      const auto model = make_model(name, *device, {.classes = 10});
      initialize(*model, *device, 1);
      Sgd sgd(*device, parameters_of(*model),
              {.learning_rate = 0.01, .loss_scaling = precision == Precision::fp16});
      const Array images = device->persistent({8, 32, 32, 3}, DType::f32),
                  labels = device->persistent({8}, DType::i32);
      std::vector<double> pixels;
      for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
      write_values(*device, images, pixels);
      std::vector<double> losses;
      StepGraph graph(*device);
      const Array kept = device->persistent({1}, DType::f32);
      for (int step = 0; step < 12; ++step) {
        graph.run(8, [&] {
          Tape tape(*device);
          const Pass pass{*device, &tape, true};
          const Outputs outputs = model->run(Var(images.tensor), pass, true);
          EXPECT_EQ(outputs.logits.type(), DType::f32);
          for (const Var& stage : outputs.stages) EXPECT_EQ(stage.type(), DType::f32);
          const Var loss = cross_entropy(pass, outputs.logits, labels);
          device->backend().copy(loss, kept);
          tape.backward(loss, sgd.loss_scale());
          sgd.step();
        });
        losses.push_back(read_values(*device, kept)[0]);
      }
      EXPECT_LT(losses.back(), losses.front()) << name << ", " << name_of(precision);
      if (exact.empty()) exact = losses;
      EXPECT_NEAR(losses.front(), exact.front(), 0.05 * exact.front()) << name << ", " << name_of(precision);
    }
  }
}

}  // namespace
}  // namespace retort
