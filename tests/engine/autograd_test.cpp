#include "engine/autograd.h"

#include <gtest/gtest.h>

#include "engine/ops/ops.h"
#include "engine/optim.h"
#include "engine/step_graph.h"
#include "layers/module.h"

namespace retort {
namespace {

std::unique_ptr<Device> portable() { return Device::open({.name = "portable", .threads = 1}); }

Parameter parameter_of(Device& device, const std::vector<double>& values) {
  Parameter p(device, {int64_t(values.size())}, DType::f64);
  write_values(device, p.value, values);
  return p;
}

TEST(Autograd, AParameterUsedTwiceGetsBothContributions) {
  const auto device = portable();
  Parameter p = parameter_of(*device, {3});
  Tape tape(*device);
  const Pass pass{*device, &tape};
  // y = p * p + p: dy/dp = 2 p + 1
  const Var y = add(pass, mul(pass, pass.parameter(p), pass.parameter(p)), pass.parameter(p));
  tape.backward(sum_all(pass, y));
  EXPECT_EQ(read_values(*device, p.grad), std::vector<double>{7});
}

TEST(Autograd, GradientsOfTheLastStepAreOverwritten) {
  const auto device = portable();
  Parameter p = parameter_of(*device, {3});
  for (int step = 0; step < 3; ++step) {
    device->step_arena().rewind();
    Tape tape(*device);
    const Pass pass{*device, &tape};
    tape.backward(sum_all(pass, square(pass, pass.parameter(p))));
    EXPECT_EQ(read_values(*device, p.grad), std::vector<double>{6});
  }
}

TEST(Autograd, AParameterTheLossDoesNotReachGetsZero) {
  const auto device = portable();
  Parameter used = parameter_of(*device, {3}), unused = parameter_of(*device, {5});
  write_values(*device, unused.grad, {42});
  Tape tape(*device);
  const Pass pass{*device, &tape};
  const Var aside = square(pass, pass.parameter(unused));
  tape.backward(sum_all(pass, square(pass, pass.parameter(used))));
  EXPECT_EQ(read_values(*device, unused.grad), std::vector<double>{0});
  EXPECT_TRUE(used.received);
  EXPECT_FALSE(unused.received);
}

// Not before: a sum over processes would take a part of it.
TEST(Autograd, AWatcherSeesEachGradientOnceItIsWhole) {
  const auto device = portable();
  Parameter twice = parameter_of(*device, {3}), once = parameter_of(*device, {5}),
            unused = parameter_of(*device, {7});
  Tape tape(*device);
  const Pass pass{*device, &tape};
  const Var aside = square(pass, pass.parameter(unused));
  // twice^2 once + twice: the last op gives the first contribution
  const Var y =
      add(pass, mul(pass, square(pass, pass.parameter(twice)), pass.parameter(once)), pass.parameter(twice));
  std::vector<std::pair<const Parameter*, double>> seen;
  tape.watch([&](Parameter& p) { seen.emplace_back(&p, read_values(*device, p.grad)[0]); });
  tape.backward(sum_all(pass, y));
  const std::vector<std::pair<const Parameter*, double>> expected = {{&once, 9}, {&twice, 31}};
  EXPECT_EQ(seen, expected) << "one that is not reached is not seen";
}

TEST(Autograd, AFrozenParameterIsAConstant) {
  const auto device = portable();
  Parameter p = parameter_of(*device, {3});
  p.grad = {};
  Tape tape(*device);
  const Pass pass{*device, &tape};
  EXPECT_FALSE(square(pass, pass.parameter(p)).requires_grad());
}

TEST(Autograd, MemoryReturnsAsTheBackwardPassGoes) {
  const auto device = portable();
  Parameter p(*device, {1 << 16}, DType::f32, 0.5);
  {
    Tape tape(*device);
    const Pass pass{*device, &tape};
    Var x = pass.parameter(p);
    for (int i = 0; i < 10; ++i) x = square(pass, x);
    const size_t forward = device->step_arena().in_use();
    EXPECT_GE(forward, size_t(9) << 18) << "each square keeps its input";
    tape.backward(mean_all(pass, x));
    x = {};
    EXPECT_LT(device->step_arena().in_use(), size_t(1) << 16);
    // The gradients did not need more than a few tensors on top of the activations.
    EXPECT_LE(device->step_arena().peak(), forward + (size_t(4) << 18));
  }
  device->step_arena().rewind();
}

TEST(Autograd, WithoutATapeNothingIsKept) {
  const auto device = portable();
  const Pass pass{*device};
  Parameter p(*device, {1 << 16}, DType::f32, 0.5);
  Var x = pass.parameter(p);
  for (int i = 0; i < 10; ++i) x = square(pass, x);
  EXPECT_LE(device->step_arena().peak(), size_t(2) << 18);
}

TEST(Autograd, BackwardTwiceIsRefused) {
  const auto device = portable();
  Parameter p = parameter_of(*device, {3});
  Tape tape(*device);
  const Pass pass{*device, &tape};
  const Var loss = sum_all(pass, pass.parameter(p));
  tape.backward(loss);
  EXPECT_THROW(tape.backward(loss), Error);
}

TEST(Autograd, TheSeedScalesTheGradient) {
  const auto device = portable();
  Parameter p = parameter_of(*device, {3});
  const Scalar seed = device->scalar(8);
  Tape tape(*device);
  const Pass pass{*device, &tape};
  tape.backward(sum_all(pass, square(pass, pass.parameter(p))), &seed);
  EXPECT_EQ(read_values(*device, p.grad), std::vector<double>{48});
}

TEST(Sgd, FollowsItsFormulaOverSeveralSteps) {
  const auto device = portable();
  Parameter a = parameter_of(*device, {1, -2}), b = parameter_of(*device, {0.5});
  Sgd sgd(*device, {{"a", &a}, {"b", &b}}, {.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.01});
  double w = 1, v = 0;
  for (int step = 0; step < 4; ++step) {
    if (step == 2) sgd.set_learning_rate(0.01);
    Tape tape(*device);
    const Pass pass{*device, &tape};
    const Var loss = add(pass, sum_all(pass, square(pass, pass.parameter(a))), sum_all(pass, pass.parameter(b)));
    tape.backward(loss);
    sgd.step();
    v = 0.9 * v + (2 * w + 0.01 * w);
    w -= (step < 2 ? 0.1 : 0.01) * v;
    EXPECT_NEAR(read_values(*device, a.value)[0], w, 1e-14);
  }
}

TEST(Sgd, NamesAParameterWithoutGradient) {
  const auto device = portable();
  Parameter used = parameter_of(*device, {3}), unused = parameter_of(*device, {5});
  Sgd sgd(*device, {{"used", &used}, {"unused", &unused}}, {});
  Tape tape(*device);
  const Pass pass{*device, &tape};
  tape.backward(sum_all(pass, square(pass, pass.parameter(used))));
  try {
    sgd.step();
    FAIL() << "the step went through";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("unused"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace retort
