// Smoothed labels: PyTorch's values (tests/data/training_options.py), in every method.
#include <algorithm>

#include "distill/methods/distiller.h"
#include "distill/methods/registry.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

struct Smoothed {
  std::vector<double> terms, gradient;
  std::vector<std::string> names;
};

Smoothed run(const std::string& method, double smoothing, const json& c) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  const int64_t classes = c["classes"];
  const auto numbers = c["labels"].get<std::vector<int32_t>>();
  const int64_t samples = int64_t(numbers.size());
  const auto filled = [&](const char* name) {
    Var x(device->persistent({samples, classes}, DType::f64));
    write_values(*device, x, closed_values(name, samples * classes, 4.0));
    return x;
  };
  const Array labels = device->persistent({samples}, DType::i32);
  device->backend().upload(labels, numbers.data());
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  const Var logits = tape.leaf(filled("logits"));
  const auto distiller = make_distiller(method_settings(method), *device, DType::f64);
  distiller->smooth_labels(smoothing);
  distiller->begin_epoch(100);
  DistillInputs inputs;
  inputs.logits.student = logits;
  if (method_settings(method).method().reads.teacher) inputs.logits.teacher = filled("teacher");
  inputs.labels = Var(labels);
  const std::vector<LossTerm> terms = distiller->terms(inputs, pass);
  tape.backward(total(terms, pass));
  Smoothed result;
  for (const LossTerm& term : terms) {
    result.names.push_back(term.name);
    result.terms.push_back(read_values(*device, term.value)[0]);
  }
  result.gradient = read_values(*device, tape.gradient(logits));
  return result;
}

TEST(LabelSmoothing, GivesPyTorchsLossAndGradient) {
  for (const json& c : reference_file("training_options.json")["smoothing"]) {
    const Smoothed found = run("ce", c["smoothing"], c);
    EXPECT_NEAR(found.terms.at(0), c["loss"].get<double>(), 1e-12);
    expect_reference({{"values", c["gradient"]}}, found.gradient, 1e-12, "gradient");
  }
}

// The cross-entropy's share of the loss is smoothed, the distillation terms stay.
TEST(LabelSmoothing, IsInEveryMethodsCrossEntropy) {
  const json c = reference_file("training_options.json")["smoothing"][0];
  for (const std::string method :
       {"kd", "dkd", "dist", "nkd", "rld", "mlkd", "ctkd", "pcd", "pcd-released", "tfkd-reg"}) {
    SCOPED_TRACE(method);
    const Smoothed plain = run(method, 0, c), smooth = run(method, c["smoothing"], c);
    ASSERT_EQ(plain.names, smooth.names);
    EXPECT_NE(std::find(plain.names.begin(), plain.names.end(), "ce"), plain.names.end());
    for (size_t i = 0; i < plain.names.size(); ++i) {
      if (plain.names[i] == "ce")
        EXPECT_GT(std::abs(smooth.terms[i] - plain.terms[i]), 1e-3);
      else
        EXPECT_EQ(smooth.terms[i], plain.terms[i]) << plain.names[i];
    }
  }
}

}  // namespace
}  // namespace retort::testing
