// Single operations against the values that PyTorch computes, see tests/data/ops.py.
#include <map>

#include "engine/ops/ops.h"
#include "engine/optim.h"
#include "layers/module.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

TEST(ClosedFormula, IsTheOneOfTheScripts) {
  const json stored = reference_file("ops.json")["closed_formula"];
  const auto expected = stored["values"].get<std::vector<double>>();
  const auto found = closed_values(stored["name"].get<std::string>(), int64_t(expected.size()));
  // The file keeps 15 digits.
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-15);
}

class OpsReference : public ::testing::TestWithParam<Arithmetic> {};

// One case of the file on one device.
class OpCase {
 public:
  OpCase(Device& device, DType type, const json& spec)
      : device_(device), type_(type), spec_(spec), settings_(spec["settings"]), tape_(device) {}

  void run(double tolerance) {
    tolerance_ = tolerance;
    const std::string op = spec_["op"];
    if (op == "sgd") return run_sgd();
    Pass pass{device_, &tape_, settings_.value("training", false)};
    Var y = apply(op, pass);
    Var loss = y;
    if (spec_["inputs"].contains("dy")) {
      expect_reference(spec_["outputs"]["y"], read(y), tolerance_, "y");
      loss = sum_all(pass, mul(pass, y, Var(constant("dy"))));
    } else {
      expect_reference(spec_["outputs"]["loss"], read(y), tolerance_, "loss");
    }
    tape_.backward(loss);
    for (const auto& [name, stored] : spec_["gradients"].items()) {
      expect_reference(stored, read(tape_.gradient(leaves_.at(name))), tolerance_, "gradient of " + name);
    }
  }

 private:
  std::vector<double> read(const Tensor& tensor) { return read_values(device_, tensor); }

  Array constant(const std::string& name) {
    const json& input = spec_["inputs"].at(name);
    const Shape shape = shape_of(input["shape"]);
    Array array = device_.persistent(shape, type_);
    write_values(device_, array, formula_values(input["formula"], shape.size()));
    return array;
  }

  // The input as a leaf; an empty Var if the case has none of this name.
  Var leaf(const std::string& name) {
    if (!spec_["inputs"].contains(name)) return {};
    kept_.push_back(constant(name));
    return leaves_[name] = tape_.leaf(kept_.back());
  }

  Var apply(const std::string& op, const Pass& pass) {
    const Var x = leaf("x");
    if (op == "conv2d") {
      const Conv2dSpec conv{settings_["stride"], settings_["pad"], settings_["groups"]};
      return conv2d(pass, x, leaf("w"), leaf("b"), conv);
    }
    if (op == "linear") return linear(pass, x, leaf("w"), leaf("b"));
    if (op.starts_with("batch_norm")) return apply_batch_norm(op, pass, x);
    if (op == "max_pool" || op == "avg_pool") {
      const auto kind = op == "max_pool" ? Pool2dSpec::maximum : Pool2dSpec::average;
      return pool2d(pass, x, {kind, settings_["kernel"], settings_["stride"], settings_["pad"]});
    }
    if (op == "global_avg_pool") return global_average_pool(pass, x);
    if (op == "adaptive_avg_pool")
      return adaptive_average_pool(pass, x, settings_["height"], settings_["width"]);
    if (op == "resize_nearest") return resize_nearest(pass, x, settings_["height"], settings_["width"]);
    if (op == "conv2d_transposed") {
      return conv2d_transposed(pass, x, leaf("w"), leaf("b"),
                               {.stride = settings_["stride"], .pad = settings_["pad"]});
    }
    if (op == "normalize_rows") return normalize_rows(pass, x, settings_["least"]);
    if (op == "smooth_l1") return smooth_l1(pass, x);
    if (op == "relu") return relu(pass, x);
    if (op == "softmax") return softmax(pass, x);
    if (op == "log_softmax") return log_softmax(pass, x);
    if (op == "cross_entropy") {
      const auto labels = settings_["labels"].get<std::vector<int32_t>>();
      kept_.push_back(device_.persistent({int64_t(labels.size())}, DType::i32));
      device_.backend().upload(kept_.back(), labels.data());
      return cross_entropy(pass, x, kept_.back());
    }
    throw std::runtime_error("no such op here: " + op);
  }

  Var apply_batch_norm(const std::string& op, const Pass& pass, const Var& x) {
    const Array mean = constant("running_mean"), var = constant("running_var");
    const BatchNormSpec norm{settings_["eps"], settings_["momentum"], op != "batch_norm"};
    const Var y = batch_norm(pass, x, leaf("gamma"), leaf("beta"), mean, var, leaf("residual"), norm);
    if (pass.training) {
      expect_reference(spec_["outputs"]["running_mean"], read(mean), tolerance_, "running_mean");
      expect_reference(spec_["outputs"]["running_var"], read(var), tolerance_, "running_var");
    }
    kept_.push_back(mean);
    kept_.push_back(var);
    return y;
  }

  // Gradients arrive as they do in training: as the derivative of sum(w g).
  void run_sgd() {
    const Shape shape = shape_of(spec_["inputs"]["w"]["shape"]);
    Parameter w(device_, shape, type_);
    write_values(device_, w.value, formula_values(spec_["inputs"]["w"]["formula"], shape.size()));
    Sgd sgd(device_, {{"w", &w}}, {0.0, settings_["momentum"], settings_["weight_decay"]});
    const auto rates = settings_["lr"].get<std::vector<double>>();
    for (size_t step = 0; step < rates.size(); ++step) {
      const std::string k = std::to_string(step);
      Tape tape(device_);
      const Pass pass{device_, &tape, true};
      tape.backward(sum_all(pass, mul(pass, pass.parameter(w), Var(constant("g" + k)))));
      sgd.set_learning_rate(rates[step]);
      sgd.step();
      expect_reference(spec_["outputs"]["w" + k], read(w.value), tolerance_, "w after step " + k);
      if (!spec_["outputs"].contains("buf" + k)) continue;
      expect_reference(spec_["outputs"]["buf" + k], read(sgd.momenta()[0].second), tolerance_,
                       "momentum " + k);
    }
  }

  Device& device_;
  DType type_;
  const json& spec_;
  const json& settings_;
  Tape tape_;
  std::vector<Array> kept_;
  std::map<std::string, Var> leaves_;
  double tolerance_ = 0;
};

TEST_P(OpsReference, AgreesWithPyTorch) {
  const json file = reference_file("ops.json");
  const auto device = Device::open({GetParam().device, 2});
  for (const json& spec : file["cases"]) {
    SCOPED_TRACE(spec["name"].get<std::string>());
    OpCase(*device, GetParam().type, spec).run(GetParam().tolerance());
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(, OpsReference, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

}  // namespace
}  // namespace retort::testing
