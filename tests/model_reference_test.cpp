// Whole models against the values that PyTorch computes from the same weights and images, see
// tests/data/models.py.
#include <map>

#include "layers/state.h"
#include "models/model.h"
#include "tests/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

// The rule of models.py for a convolution's or linear layer's weight.
double weight_scale(int64_t fan_in) {
  double scale = 1;
  for (int64_t reach = 6; reach < fan_in; reach *= 4) scale /= 2;
  return scale;
}

bool ends_with(const std::string& name, const std::string& suffix) {
  return name.ends_with("." + suffix);
}

// Sets every tensor by the rule, through the loader: names and layouts are PyTorch's.
void fill_by_rule(Model& model, Device& device) {
  std::vector<HostTensor> state = state_of(model, device);
  std::map<std::string, size_t> rank_of_weight;  // by module
  for (const HostTensor& t : state) {
    if (ends_with(t.name, "weight")) rank_of_weight[t.name.substr(0, t.name.rfind('.'))] = t.shape.size();
  }
  for (HostTensor& t : state) {
    int64_t count = 1;
    for (const int64_t extent : t.shape) count *= extent;
    double scale = 0.25, shift = 0;
    const bool norm = rank_of_weight.at(t.name.substr(0, t.name.rfind('.'))) == 1;
    if (ends_with(t.name, "weight") && !norm) scale = weight_scale(count / t.shape[0]);
    if (ends_with(t.name, "weight") && norm) shift = 1;
    if (ends_with(t.name, "bias") && !norm) scale = 0.0625;
    if (ends_with(t.name, "running_var")) scale = 0.5, shift = 1.5;
    const std::vector<double> values = closed_values(t.name, count, scale, shift);
    t.type = DType::f64;
    t.data.resize(values.size() * sizeof(double));
    std::copy_n(reinterpret_cast<const std::byte*>(values.data()), t.data.size(), t.data.data());
  }
  load_state(model, device, state, "the closed formula");
}

struct MacCounter : LayerObserver {
  int64_t total = 0;
  void on_call(const LayerCall& call) override { total += call.macs; }
};

class ModelReference : public ::testing::TestWithParam<Arithmetic> {
 protected:
  void SetUp() override {
    file_ = reference_file("models.json");
    device_ = Device::open({GetParam().device, 2});
  }

  Var images() {
    const Shape shape = shape_of(file_["images"]["shape"]);
    Var x(device_->persistent(shape, GetParam().type));
    write_values(*device_, x, formula_values(file_["images"]["formula"], shape.size()));
    return x;
  }

  const json& stored(const std::string& name) {
    for (const json& model : file_["models"]) {
      if (model["name"] == name) return model;
    }
    throw std::runtime_error("no values for " + name);
  }

  std::unique_ptr<Model> filled(const std::string& name) {
    auto model = make_model(name, *device_, {.classes = 100, .type = GetParam().type});
    fill_by_rule(*model, *device_);
    return model;
  }

  // error: how far PyTorch's own f32 run is from the stored f64 values.
  double tolerance(double error) const {
    return GetParam().type == DType::f64 ? 1e-9 : std::max(1e-5, 20 * error);
  }

  void expect_outputs(const json& expected, const Outputs& outputs, double tolerance) {
    expect_reference({{"values", expected["logits"]}}, read_values(*device_, outputs.logits), tolerance,
                     "logits");
    expect_reference(expected["pooled"], read_values(*device_, outputs.pooled), tolerance, "pooled");
    ASSERT_EQ(outputs.stages.size(), expected["stages"].size());
    for (size_t s = 0; s < outputs.stages.size(); ++s) {
      const std::string what = "F" + std::to_string(s);
      expect_reference(expected["stages"][s], read_values(*device_, outputs.stages[s]), tolerance, what);
    }
  }

  // A training-mode pass, its gradients and running statistics.
  void expect_training(Model& model, const json& expected, double tolerance, double gradient_tolerance) {
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Outputs outputs = model.forward(images(), pass, true);
    expect_outputs(expected, outputs, tolerance);
    const auto labels = file_["labels"].get<std::vector<int32_t>>();
    const Array on_device = device_->persistent({int64_t(labels.size())}, DType::i32);
    device_->backend().upload(on_device, labels.data());
    const Var loss = cross_entropy(pass, outputs.logits, on_device);
    const double loss_value = expected["loss"];
    EXPECT_NEAR(read_values(*device_, loss)[0], loss_value, tolerance * loss_value);
    tape.backward(loss);

    std::map<std::string, HostTensor> found;
    for (const NamedParameter& p : parameters_of(model)) {
      found[p.name] = to_file(*device_, p.name, p.parameter->grad);
    }
    expect_pairs(expected["gradients"], found, gradient_tolerance);
    found.clear();
    for (HostTensor& t : state_of(model, *device_)) {
      if (t.name.find("running_") != std::string::npos) found[t.name] = std::move(t);
    }
    expect_pairs(expected["running"], found, tolerance);
  }

  // expected: {name: [abs_sum, probe]}; both hold the same names.
  void expect_pairs(const json& expected, const std::map<std::string, HostTensor>& found, double tolerance) {
    EXPECT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : found) {
      ASSERT_TRUE(expected.contains(name)) << name;
      std::vector<double> values;
      if (tensor.type == DType::f64) {
        values.assign(tensor.values<double>().begin(), tensor.values<double>().end());
      } else {
        values.assign(tensor.values<float>().begin(), tensor.values<float>().end());
      }
      expect_reference({{"abs_sum", expected[name][0]}, {"probe", expected[name][1]}}, values, tolerance,
                       name);
    }
  }

  json file_;
  std::unique_ptr<Device> device_;
};

TEST_P(ModelReference, EvaluationAndTrainingPassAgreeWithPyTorch) {
  std::vector<std::string> names = {"resnet8", "resnet20", "resnet8x4"};
  if (GetParam().type == DType::f64) names.push_back("resnet110");
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const json& expected = stored(name);
    const json& f32 = expected["f32"];
    const auto model = filled(name);
    expect_outputs(expected["eval"], model->forward(images(), Pass{*device_}, true),
                   tolerance(f32["eval_logits"]));
    expect_training(*model, expected["train"], tolerance(f32["train_logits"]), tolerance(f32["gradients"]));
    device_->step_arena().rewind();
    if (HasFatalFailure()) return;
  }
}

// Every model's size and logits, with batch norm as it is and folded.
TEST_P(ModelReference, EveryModelAgreesWithPyTorch) {
  for (const json& expected : file_["models"]) {
    const std::string name = expected["name"];
    SCOPED_TRACE(name);
    const auto model = filled(name);
    EXPECT_EQ(count_parameters(*model), expected["parameters"].get<int64_t>());
    const double tolerated = tolerance(expected["f32"]["eval_logits"]);
    const json logits = {{"values", expected["eval"]["logits"]}};
    MacCounter macs;
    Pass pass{*device_};
    pass.observer = &macs;
    expect_reference(logits, read_values(*device_, (*model)(images(), pass)), tolerated, "logits");
    EXPECT_EQ(macs.total, expected["macs"].get<int64_t>());
    fold_batch_norms(*model, *device_);
    expect_reference(logits, read_values(*device_, (*model)(images(), Pass{*device_})), tolerated,
                     "folded logits");
    device_->step_arena().rewind();
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(, ModelReference, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

}  // namespace
}  // namespace retort::testing
