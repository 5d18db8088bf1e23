// Weight decay that leaves out norms' scales and shifts, as torch.optim.SGD with two groups of parameters.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "engine/ops/ops.h"
#include "engine/optim.h"
#include "layers/layers.h"
#include "layers/module.h"

namespace retort {
namespace {

// A convolution, its norm and a bias behind them, so that norms stand between others.
class Layers : public Module {
 public:
  explicit Layers(Device& device)
      : first(device, {2, 3, 3, 3}, DType::f64), norm(device, 2, DType::f64), last(device, {2}, DType::f64) {}
  void visit(Visitor& visitor) override {
    visitor.parameter("first", first, Init::normal_of(1));
    visitor.child("norm", norm);
    visitor.parameter("last", last, Init::normal_of(1));
  }
  Parameter first;
  BatchNorm norm;
  Parameter last;
};

TEST(NormDecay, ParametersOfLayersWithRunningStatisticsAreNorms) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  Layers layers(*device);
  std::vector<std::string> norms;
  for (const NamedParameter& p : parameters_of(layers))
    if (p.norm) norms.push_back(p.name);
  EXPECT_EQ(norms, (std::vector<std::string>{"norm.weight", "norm.bias"}));
}

class NormDecayOf : public ::testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(NormDecayOf, StepsAsPyTorchWithGroups) {
  const auto [nesterov, norm_decay] = GetParam();
  const auto device = Device::open({.name = "portable", .threads = 1});
  Layers layers(*device);
  initialize(layers, *device, 1);
  std::vector<NamedParameter> parameters = parameters_of(layers);
  Sgd optimizer(*device, parameters,
                {.learning_rate = 0.1, .weight_decay = 0.3, .norm_decay = norm_decay, .nesterov = nesterov});
  std::vector<std::vector<double>> w, v, g;
  for (const NamedParameter& p : parameters) {
    w.push_back(read_values(*device, p.parameter->value));
    v.emplace_back(w.back().size());
    g.emplace_back(w.back().size());
  }
  for (int step = 1; step <= 3; ++step) {
    device->step_arena().rewind();
    Tape tape(*device);
    const Pass pass{*device, &tape, true};
    Var loss;
    for (size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = *parameters[i].parameter;
      for (size_t k = 0; k < g[i].size(); ++k) g[i][k] = std::sin(double(step + 3 * k + 7 * i));
      const Var slope = pass.make(p.value.tensor.shape, DType::f64);
      write_values(*device, slope, g[i]);
      const Var term = sum_all(pass, mul(pass, pass.parameter(p), slope));
      loss = loss ? add(pass, loss, term) : term;
    }
    tape.backward(loss);
    optimizer.step();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const double decay = parameters[i].norm && !norm_decay ? 0 : 0.3;
      for (size_t k = 0; k < w[i].size(); ++k) {
        const double slope = g[i][k] + decay * w[i][k];
        v[i][k] = 0.9 * v[i][k] + slope;
        w[i][k] -= 0.1 * (nesterov ? slope + 0.9 * v[i][k] : v[i][k]);
      }
    }
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::vector<double> found = read_values(*device, parameters[i].parameter->value);
    for (size_t k = 0; k < found.size(); ++k)
      EXPECT_NEAR(found[k], w[i][k], 1e-12) << parameters[i].name << ' ' << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, NormDecayOf, ::testing::Combine(::testing::Bool(), ::testing::Bool()));

// Two momenta, and a norm that both losses reach: only what is no norm decays, and by the labels' momentum.
TEST(NormDecay, OfTwoGradients) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  Parameter weight{*device, {1}, DType::f64}, norm{*device, {1}, DType::f64};
  std::vector<NamedParameter> parameters = {{"weight", &weight}, {"norm", &norm}};
  parameters[1].norm = true;
  Sgd optimizer(*device, parameters,
                {.learning_rate = 0.1, .weight_decay = 0.3, .norm_decay = false, .dot_delta = 0.05});
  write_values(*device, weight.value, {2});
  write_values(*device, norm.value, {2});
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  const auto both = [&] {
    return add(pass, sum_all(pass, pass.parameter(weight)), sum_all(pass, pass.parameter(norm)));
  };
  tape.backward(both(), nullptr, true);
  optimizer.begin_second_gradient();
  tape.backward(both());
  optimizer.step();
  EXPECT_NEAR(read_values(*device, weight.value)[0], 2 - 0.1 * (1 + 0.3 * 2) - 0.1, 1e-12);
  EXPECT_NEAR(read_values(*device, norm.value)[0], 2 - 0.2, 1e-12);
}

}  // namespace
}  // namespace retort
