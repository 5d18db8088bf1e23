// SGD with a momentum each for the labels' gradient and the teacher's.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops/ops.h"
#include "engine/optim.h"
#include "layers/module.h"

namespace retort {
namespace {

using Values = std::vector<double>;

// a is reached by both losses, b by the teacher's, c by the labels'. The losses are linear: the gradients are
// as given.
struct Weights {
  std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 1});
  Parameter a{*device, {2}, DType::f64}, b{*device, {1}, DType::f64}, c{*device, {1}, DType::f64};
  Sgd optimizer;

  explicit Weights(double delta = 0.075)
      : optimizer(*device, {{"a", &a}, {"b", &b}, {"c", &c}},
                  {.learning_rate = 0.1, .weight_decay = 0.01, .dot_delta = delta}) {
    write_values(*device, a.value, {1, -2});
    write_values(*device, b.value, {.5});
    write_values(*device, c.value, {-1});
  }

  void step(int k) {
    device->step_arena().rewind();
    Tape tape(*device);
    const Pass pass{*device, &tape, true};
    const auto times = [&](Parameter& p, const Values& gradient) {
      const Var g = pass.make(p.value.tensor.shape, DType::f64);
      write_values(*device, g, gradient);
      return sum_all(pass, mul(pass, pass.parameter(p), g));
    };
    const Var labels = add(pass, times(a, {std::sin(k), std::cos(k)}), times(c, {std::sin(k)}));
    const Var teacher = add(pass, times(a, {std::cos(2 * k), std::sin(3 * k)}), times(b, {std::cos(k)}));
    tape.backward(labels, nullptr, true);
    optimizer.begin_second_gradient();
    tape.backward(teacher);
    optimizer.step();
  }

  void expect(const Values& expected) {
    Values found = read_values(*device, a.value);
    found.push_back(read_values(*device, b.value)[0]);
    found.push_back(read_values(*device, c.value)[0]);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 6e-11) << i;
  }
};

TEST(TwoGradients, ReferenceValues) {
  Weights w;
  w.step(1);
  w.expect({.9564675852, -2.0661422314, .4459697694, -1.0831470985});
  w.step(2);
  w.expect({.9002736973, -2.0512039967, .4385112758, -1.2478260827});
  w.step(3);
  w.expect({.7587752384, -1.9769139956, .5303593699, -1.4089013432});
}

TEST(TwoGradients, GoOnFromWhatACheckpointHolds) {
  Weights first, second;
  first.step(1);
  const auto from = first.optimizer.momenta(), to = second.optimizer.momenta();
  ASSERT_EQ(from.size(), 7u);
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].first, to[i].first);
    write_values(*second.device, to[i].second, read_values(*first.device, from[i].second));
  }
  for (const auto& [mine, theirs] :
       {std::pair{&second.a, &first.a}, {&second.b, &first.b}, {&second.c, &first.c}})
    write_values(*second.device, mine->value, read_values(*first.device, theirs->value));
  second.step(2);
  second.expect({.9002736973, -2.0512039967, .4385112758, -1.2478260827});
}

TEST(TwoGradients, WithoutADifferenceAreOne) {
  Weights two(0);
  Parameter a{*two.device, {2}, DType::f64};
  Sgd one(*two.device, {{"a", &a}}, {.learning_rate = 0.1, .weight_decay = 0.01});
  write_values(*two.device, a.value, {1, -2});
  for (int k = 1; k <= 4; ++k) {
    two.step(k);
    Tape tape(*two.device);
    const Pass pass{*two.device, &tape, true};
    const Var g = pass.make({2}, DType::f64);
    write_values(*two.device, g, {std::sin(k) + std::cos(2 * k), std::cos(k) + std::sin(3 * k)});
    tape.backward(sum_all(pass, mul(pass, pass.parameter(a), g)));
    one.step();
  }
  const Values found = read_values(*two.device, two.a.value), expected = read_values(*two.device, a.value);
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(found[i], expected[i], 1e-14);
}

}  // namespace
}  // namespace retort
