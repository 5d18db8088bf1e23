// Everything that is promised of every op, over the table of op cases.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "engine/step_graph.h"
#include "layers/module.h"
#include "tests/engine/op_cases.h"

namespace retort {

void PrintTo(const OpCase& c, std::ostream* out) {
  *out << c.name;
}

namespace {

using Values = std::vector<double>;

// Value of the op and gradients of loss = <op(inputs), weights> + share * sum over inputs of <input,
// weights'>. The second part is recorded last, so its gradients come first and the op's must be added to
// them.
struct Result {
  Values value;
  std::vector<Values> gradients;  // empty for constants
};

double weight_at(int64_t i) {
  return std::cos(0.7 * double(i) + 0.3);
}

Var weights_like(const Pass& pass, const Var& x) {
  Var w = pass.make(x.shape(), x.type());
  Values values;
  for (int64_t i = 0; i < x.tensor().size(); ++i) values.push_back(weight_at(i));
  write_values(pass.device, w, values);
  return w;
}

Result run(Device& device, const OpCase& c, const std::vector<Values>& inputs, DType type, bool accumulate) {
  device.step_arena().rewind();
  Result result;
  Tape tape(device);
  const Pass pass{device, &tape, false};
  std::vector<Var> memory, leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    memory.push_back(pass.make(c.inputs[i].shape, type));
    write_values(device, memory.back(), inputs[i]);
    leaves.push_back(c.inputs[i].is_constant() ? memory.back() : tape.leaf(memory.back()));
  }
  const Var y = c.op(pass, leaves);
  result.value = read_values(device, y);
  Var loss = sum_all(pass, mul(pass, y, weights_like(pass, y)));
  if (accumulate) {
    for (const Var& leaf : leaves) {
      if (leaf.requires_grad())
        loss = add(pass, loss, sum_all(pass, mul(pass, leaf, weights_like(pass, leaf))));
    }
  }
  tape.backward(loss);
  for (size_t i = 0; i < leaves.size(); ++i) {
    result.gradients.push_back(c.inputs[i].is_constant() ? Values{}
                                                         : read_values(device, tape.gradient(leaves[i])));
  }
  return result;
}

double weighted(const Values& value) {
  double total = 0;
  for (size_t i = 0; i < value.size(); ++i) total += value[i] * weight_at(int64_t(i));
  return total;
}

void expect_near(const Values& found, const Values& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i])))
        << what << ", element " << i;
  }
}

class OpTable : public testing::TestWithParam<OpCase> {};

TEST_P(OpTable, GradientAgreesWithFiniteDifferencesInF64) {
  const OpCase& c = GetParam();
  const auto device = Device::open({.name = "portable", .threads = 2, .guard = true});
  std::vector<Values> inputs = op_input_values(c);
  const Result analytic = run(*device, c, inputs, DType::f64, false);
  const double h = 1e-6;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (analytic.gradients[i].empty()) continue;
    const size_t step = std::max<size_t>(1, inputs[i].size() / 60);  // about 60 elements of each input
    for (size_t j = 0; j < inputs[i].size(); j += step) {
      const double x = inputs[i][j];
      inputs[i][j] = x + h;
      const double above = weighted(run(*device, c, inputs, DType::f64, false).value);
      inputs[i][j] = x - h;
      const double below = weighted(run(*device, c, inputs, DType::f64, false).value);
      inputs[i][j] = x;
      const double numeric = (above - below) / (2 * h);
      ASSERT_NEAR(analytic.gradients[i][j], numeric, 1e-6 * std::max(1.0, std::abs(numeric)))
          << "input " << i << ", element " << j;
    }
  }
  device->step_arena().rewind();
  EXPECT_EQ(device->step_arena().violations(), 0) << "a kernel wrote outside its output";
}

TEST_P(OpTable, AddsToGradientsThatAreThere) {
  const OpCase& c = GetParam();
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 2, .guard = true});
    const std::vector<Values> inputs = op_input_values(c);
    const Result alone = run(*device, c, inputs, DType::f32, false),
                 both = run(*device, c, inputs, DType::f32, true);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (alone.gradients[i].empty()) continue;
      Values expected = alone.gradients[i];
      for (size_t j = 0; j < expected.size(); ++j) expected[j] += weight_at(int64_t(j));
      expect_near(both.gradients[i], expected, c.tolerance, name + ", input " + std::to_string(i));
    }
    device->step_arena().rewind();
    EXPECT_EQ(device->step_arena().violations(), 0) << name << ": a kernel wrote outside its output";
  }
}

TEST_P(OpTable, EveryBackendAgreesWithPortableInF64) {
  const OpCase& c = GetParam();
  const std::vector<Values> inputs = op_input_values(c);
  const auto reference = Device::open({.name = "portable", .threads = 1});
  const Result expected = run(*reference, c, inputs, DType::f64, false);
  for (const std::string& name : available_devices()) {
    const auto device = Device::open({.name = name, .threads = 2});
    const Result found = run(*device, c, inputs, DType::f32, false);
    expect_near(found.value, expected.value, c.tolerance, name + ", value");
    for (size_t i = 0; i < inputs.size(); ++i) {
      expect_near(found.gradients[i], expected.gradients[i], c.tolerance,
                  name + ", input " + std::to_string(i));
    }
  }
}

TEST_P(OpTable, GivesTheSameBitsForAnyNumberOfThreads) {
  const OpCase& c = GetParam();
  const std::vector<Values> inputs = op_input_values(c);
  for (const std::string& name : available_devices()) {
    const Result one = run(*Device::open({.name = name, .threads = 1}), c, inputs, DType::f32, false);
    for (int threads : {2, 3}) {
      const Result several =
          run(*Device::open({.name = name, .threads = threads}), c, inputs, DType::f32, false);
      EXPECT_EQ(one.value, several.value) << name << ", " << threads << " threads";
      EXPECT_EQ(one.gradients, several.gradients) << name << ", " << threads << " threads";
    }
  }
}

TEST_P(OpTable, RepeatsItsAddresses) {
  const OpCase& c = GetParam();
  const auto device = Device::open({.name = "portable", .threads = 1});
  const std::vector<Values> inputs = op_input_values(c);
  std::vector<uint64_t> traces;
  for (int i = 0; i < 4; ++i) {
    run(*device, c, inputs, DType::f32, true);
    traces.push_back(device->step_arena().trace());
  }
  EXPECT_EQ(traces[2], traces[3]) << "a step whose addresses move cannot be captured";
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::ValuesIn(op_cases()), [](const auto& test) {
  std::string name;
  for (char c : test.param.name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace retort
