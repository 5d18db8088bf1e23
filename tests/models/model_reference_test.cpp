// Whole models against the values that PyTorch computes from the same weights and images, see
// tests/data/models.py.
#include <map>
#include <set>

#include "layers/state.h"
#include "models/export/inference_graph.h"
#include "models/model.h"
#include "tests/support/fill_by_rule.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

struct ModelCase {
  std::string model;
  Arithmetic arithmetic;
};

void PrintTo(const ModelCase& c, std::ostream* out) {
  *out << c.model << " ";
  PrintTo(c.arithmetic, out);
}

// Every model of the registry, on every device; the largest, whose layers smaller ones have too, in f64 only,
// so that the suite stays quick.
std::vector<ModelCase> model_cases() {
  static const std::set<std::string> in_f64_only = {
      "vgg16",     "vgg19",      "ResNet18",          "resnet44a",
      "resnet56a", "resnet110a", "resnet34_imagenet", "resnet101_imagenet"};
  std::vector<ModelCase> all;
  for (const std::string& model : model_names()) {
    for (const Arithmetic& arithmetic : arithmetics()) {
      if (arithmetic.type == DType::f64 || in_f64_only.count(model) == 0) all.push_back({model, arithmetic});
    }
  }
  return all;
}

// For the same reason.
bool is_trained(const ModelCase& c) {
  static const std::set<std::string> never = {
      "resnet14",          "resnet32",  "resnet44",  "resnet56",   "resnet32x4",
      "wrn_40_2",          "vgg11",     "vgg16",     "vgg19",      "ResNet18",
      "resnet32a",         "resnet44a", "resnet56a", "resnet110a", "resnet34_imagenet",
      "resnet101_imagenet"};
  static const std::set<std::string> in_f64_only = {"resnet110", "wrn_40_1", "vgg13", "ResNet50",
                                                    "resnet50_imagenet"};
  return never.count(c.model) == 0 && (c.arithmetic.type == DType::f64 || in_f64_only.count(c.model) == 0);
}

std::vector<double> values_of(const HostTensor& tensor) {
  if (tensor.type == DType::f32) return {tensor.values<float>().begin(), tensor.values<float>().end()};
  return {tensor.values<double>().begin(), tensor.values<double>().end()};
}

class ModelReference : public ::testing::TestWithParam<ModelCase> {
 protected:
  void SetUp() override {
    for (const char* name : {"models.json", "zoo.json", "option_a.json", "imagenet.json"}) {
      file_ = reference_file(name);
      for (const json& model : file_["models"]) {
        if (model["name"] == GetParam().model) expected_ = model;
      }
      if (!expected_.is_null()) break;
    }
    ASSERT_FALSE(expected_.is_null()) << "no values for " << GetParam().model;
    device_ = Device::open({GetParam().arithmetic.device, 2});
    model_ = make_model(GetParam().model, *device_, {.classes = 100, .type = GetParam().arithmetic.type});
    fill_by_rule(*model_, *device_);
  }

  Var images() {
    const Shape shape = shape_of(file_["images"]["shape"]);
    Var x(device_->persistent(shape, GetParam().arithmetic.type));
    write_values(*device_, x, formula_values(file_["images"]["formula"], shape.size()));
    return x;
  }

  // error: how far PyTorch's own f32 run is from the stored f64 values. least: what f32 is granted anyway.
  double tolerance(double error, double least = 1e-5) const {
    return GetParam().arithmetic.type == DType::f64 ? 1e-9 : std::max(least, 20 * error);
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

  // expected: {name: [abs_sum, probe]}; both hold the same names. What is zero up to rounding is held against
  // the size of the weight beside it.
  void expect_pairs(const json& expected, const std::map<std::string, std::vector<double>>& found,
                    double tolerance) {
    EXPECT_EQ(found.size(), expected.size());
    for (const auto& [name, values] : found) {
      ASSERT_TRUE(expected.contains(name)) << name;
      const double abs_sum = expected[name][0];
      const std::string weight = name.substr(0, name.rfind('.')) + ".weight";
      if (name != weight && expected.contains(weight) && abs_sum < 1e-9 * double(expected[weight][0])) {
        double found_abs = 0;
        for (const double v : values) found_abs += std::abs(v);
        EXPECT_LE(found_abs, tolerance * double(expected[weight][0])) << name;
        continue;
      }
      expect_reference({{"abs_sum", abs_sum}, {"probe", expected[name][1]}}, values, tolerance, name);
    }
  }

  // A training-mode pass, its gradients and running statistics.
  void expect_training() {
    const json& expected = expected_["train"];
    const double tolerated = tolerance(expected_["f32"]["train_logits"]);
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Outputs outputs = model_->forward(images(), pass, true);
    expect_outputs(expected, outputs, tolerated);
    const auto labels = file_["labels"].get<std::vector<int32_t>>();
    const Array on_device = device_->persistent({int64_t(labels.size())}, DType::i32);
    device_->backend().upload(on_device, labels.data());
    const Var loss = cross_entropy(pass, outputs.logits, on_device);
    const double loss_value = expected["loss"];
    EXPECT_NEAR(read_values(*device_, loss)[0], loss_value, tolerated * loss_value);
    tape.backward(loss);

    std::map<std::string, std::vector<double>> found;
    for (const NamedParameter& p : parameters_of(*model_)) {
      found[p.name] = values_of(to_file(*device_, p.name, p.parameter->grad));
    }
    // In f32 a ReLU whose input lies within rounding of zero may go the other way: that is up to some
    // percent.
    expect_pairs(expected["gradients"], found, tolerance(expected_["f32"]["gradients"], 0.05));
    found.clear();
    for (const HostTensor& t : state_of(*model_, *device_)) {
      if (t.name.find("running_") != std::string::npos) found[t.name] = values_of(t);
    }
    expect_pairs(expected["running"], found, tolerated);
  }

  json file_, expected_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
};

// Outputs with the running statistics, with batch norm as it is and folded; then training.
TEST_P(ModelReference, AgreesWithPyTorch) {
  const double tolerated = tolerance(expected_["f32"]["eval_logits"]);
  expect_outputs(expected_["eval"], model_->forward(images(), Pass{*device_}, true), tolerated);
  fold_batch_norms(*model_, *device_);
  expect_reference({{"values", expected_["eval"]["logits"]}},
                   read_values(*device_, (*model_)(images(), Pass{*device_})), tolerated, "folded logits");
  device_->step_arena().rewind();
  if (is_trained(GetParam()) && !HasFatalFailure()) expect_training();
}

// At the size and with the classes that papers count them with.
TEST(ModelSize, AgreesWithPyTorch) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  size_t counted = 0;
  for (const char* file : {"models.json", "zoo.json", "option_a.json", "imagenet.json"}) {
    const json reference = reference_file(file);
    for (const json& expected : reference["models"]) {
      const std::string name = expected["name"];
      SCOPED_TRACE(name);
      const auto model = make_model(name, *device, {.classes = expected.value("classes", 100)});
      EXPECT_EQ(model->side, expected.value("side", 32));
      EXPECT_EQ(count_parameters(*model), expected["parameters"].get<int64_t>());
      EXPECT_EQ(inference_graph(*model, *device).macs(), expected["macs"].get<int64_t>());
      ++counted;
    }
  }
  EXPECT_EQ(counted, model_names().size());
}

INSTANTIATE_TEST_SUITE_P(, ModelReference, ::testing::ValuesIn(model_cases()), [](const auto& tested) {
  return tested.param.model + "_" + tested.param.arithmetic.device + "_" +
         name_of(tested.param.arithmetic.type);
});

}  // namespace
}  // namespace retort::testing
