// Nesterov's momentum and averaged weights, against PyTorch's values (tests/data/training_options.py).
#include "distill/train/weight_average.h"

#include "engine/ops/ops.h"
#include "layers/module.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

class SgdOptionsTest : public ::testing::TestWithParam<Arithmetic> {
 protected:
  // w as the closed formula has it, stepped with the gradients g0, g1, ...; after each step look(step) is
  // called.
  template <class Look>
  void run(const json& c, const Look& look) {
    const int64_t count = c["count"];
    Parameter w(*device_, {count}, GetParam().type);
    write_values(*device_, w.value, closed_values("w", count));
    Sgd sgd(*device_, {{"w", &w}},
            {.learning_rate = 0,
             .momentum = c["momentum"],
             .weight_decay = c["weight_decay"],
             .nesterov = c["nesterov"]});
    WeightAverage average(*device_, sgd, c["average_decay"]);
    const auto rates = c["rates"].get<std::vector<double>>();
    for (size_t step = 0; step < rates.size(); ++step) {
      Var g(device_->persistent({count}, GetParam().type));
      write_values(*device_, g, closed_values(text("g", step), count));
      Tape tape(*device_);
      const Pass pass{*device_, &tape, true};
      tape.backward(sum_all(pass, mul(pass, pass.parameter(w), g)));
      sgd.set_learning_rate(rates[step]);
      average.begin_step(int64_t(step));
      sgd.step();
      average.step();
      look(step, average, w);
    }
  }

  std::unique_ptr<Device> device_ = Device::open({.name = GetParam().device, .threads = 2});
};

TEST_P(SgdOptionsTest, GivePyTorchsValues) {
  const json cases = reference_file("training_options.json")["optimizer"];
  ASSERT_GE(cases.size(), 3u);
  for (const json& c : cases) {
    run(c, [&](size_t step, WeightAverage& average, Parameter& w) {
      expect_reference({{"values", c["values"][step]}}, read_values(*device_, w.value),
                       GetParam().tolerance(), text("w after step ", step));
      EXPECT_EQ(average.kept(), !c["averages"].empty());
      if (!average.kept()) return;
      const std::vector<double> own = read_values(*device_, w.value);
      average.exchange();
      expect_reference({{"values", c["averages"][step]}}, read_values(*device_, w.value),
                       GetParam().tolerance(), text("average after step ", step));
      const auto state = average.tensors();
      ASSERT_EQ(state.back().first, "other.w");
      EXPECT_EQ(read_values(*device_, state.back().second), own) << "what is saved beside the average";
      average.exchange();
      EXPECT_EQ(read_values(*device_, w.value), own);
    });
  }
}

// Longer than one row of its kernel, which no case of the file is.
TEST_P(SgdOptionsTest, TreatEveryNumberOfALongTensor) {
  const int64_t count = 9001;
  const json c = {{"count", count},   {"momentum", 0.5},   {"weight_decay", 0.25},
                  {"nesterov", true}, {"rates", {0.5, 1}}, {"average_decay", 0.75}};
  std::vector<double> w = closed_values("w", count), v(w.size(), 0), average;
  run(c, [&](size_t step, WeightAverage& kept, Parameter& p) {
    const std::vector<double> g = closed_values(text("g", step), count);
    for (size_t i = 0; i < w.size(); ++i) {
      const double change = g[i] + 0.25 * w[i];
      v[i] = 0.5 * v[i] + change;
      w[i] -= (step == 0 ? 0.5 : 1) * (change + 0.5 * v[i]);
      if (step == 0) average.push_back(w[i]);
      average[i] = 0.75 * average[i] + 0.25 * w[i];
    }
    expect_reference({{"values", w}}, read_values(*device_, p.value), GetParam().tolerance(), "w");
    kept.exchange();
    expect_reference({{"values", average}}, read_values(*device_, p.value), GetParam().tolerance(),
                     "average");
    kept.exchange();
  });
}

INSTANTIATE_TEST_SUITE_P(, SgdOptionsTest, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

}  // namespace
}  // namespace retort::testing
