// Every distillation loss against losses.json: values and gradients that PyTorch gave (see data/losses.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "distill/methods/loss_probe.h"
#include "tests/support/class_similarity.h"
#include "tests/support/closed_formula.h"
#include "tests/support/paths.h"

namespace retort {
namespace {

using nlohmann::json;

const json& reference() {
  static const json all = json::parse(std::ifstream(testing::data_folder() + "/losses.json"));
  return all;
}

// A matrix of logits: rows, or a sum of closed formulas.
std::vector<double> matrix(const json& of, const char* key) {
  const int64_t size = int64_t(of["B"]) * int64_t(of["C"]);
  std::vector<double> values;
  if (of[key].is_array()) {
    for (const auto& row : of[key]) values.insert(values.end(), row.begin(), row.end());
    return values;
  }
  values.resize(size_t(size));
  for (const auto& formula : of[key]["sum"]) {
    const std::string name = formula["name"];
    const std::vector<double> part = closed_values(name, size, formula["scale"], 0, formula["bits"]);
    for (size_t i = 0; i < values.size(); ++i) values[i] += part[i];
  }
  return values;
}

MethodSettings settings_of(const json& c) {
  MethodSettings settings = method_settings(std::string(c["method"]));
  for (const auto& [key, value] : c["settings"].items()) {
    settings.set(key, value.is_string() ? std::string(value) : value.dump());
  }
  return settings;
}

ProbeInput input_of(const json& c) {
  const json& of = reference()["sets"][std::string(c["set"])];
  ProbeInput input{.samples = of["B"],
                   .classes = of["C"],
                   .student = matrix(of, "student"),
                   .teacher = matrix(of, "teacher"),
                   .labels = of["labels"]};
  if (c["method"] == "wkd-l") input.class_similarity = some_class_similarity(input.classes);
  if (c["settings"].value("views", 1) == 2) {
    input.strong_student = matrix(of, "strong_student");
    input.strong_teacher = matrix(of, "strong_teacher");
  }
  return input;
}

// Differences relative to the larger of the expected value and `scale`.
void expect_near(double found, double expected, double tolerance, double scale, const std::string& what) {
  EXPECT_NEAR(found, expected, tolerance * std::max(std::abs(expected), scale)) << what;
}

void expect_gradient(const std::vector<double>& found, const json& expected, double tolerance,
                     const std::string& what) {
  double largest = 0, abs_sum = 0, probe = 0;
  const std::vector<double> weights = closed_values("probe", int64_t(found.size()));
  for (size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(found[i]));
    abs_sum += std::abs(found[i]);
    probe += found[i] * weights[i];
  }
  if (expected.contains("values")) {
    ASSERT_EQ(expected["values"].size(), found.size()) << what;
    for (size_t i = 0; i < found.size(); ++i) {
      expect_near(found[i], expected["values"][i], tolerance, largest, text(what, ", gradient ", i));
    }
    return;
  }
  expect_near(abs_sum, expected["abs_sum"], tolerance, 1e-11, what + ", sum of the absolute gradient");
  expect_near(probe, expected["probe"], tolerance, std::max(abs_sum, 1e-11), what + ", gradient's probe");
  for (const auto& entry : expected["entries"]) {
    expect_near(found[size_t(entry[0])], entry[1], tolerance, largest,
                what + ", gradient entry " + entry.dump());
  }
}

// Whether a program in f32 sees the same ranking: its differences are exact, unless it standardises.
bool ranking_survives_f32(const json& c) {
  return !c.contains("rank_gap") || !c["settings"].value("standardize", false) || c["rank_gap"] > 1e-5;
}

// Values below this are compared absolutely: where the method (1 - correlation) or the reference (the others)
// cancels.
double absolute_digits(const std::string& method) {
  if (method == "dist") return 1;
  if (method == "mlkd") return 1e-6;  // differences of products of small probabilities
  if (method == "ctkd") return 1e-3;  // tau^2 KL at a temperature of 15
  if (method == "gdkd" || method == "ldrld" || method == "rc")
    return 1e-3;  // of near or saturated distributions
  return method == "dkd" || method == "rld" ? 1e-4 : 1e-12;
}

void expect_case(const json& c, Device& device, DType arithmetic, double tolerance,
                 double gradient_tolerance) {
  const std::string what =
      text(std::string(c["method"]), " on ", std::string(c["set"]), " ", c["settings"].dump());
  ProbeInput input = input_of(c);
  input.arithmetic = arithmetic;
  const double scale = absolute_digits(c["method"]);
  const ProbeResult result = probe_loss(settings_of(c), device, input);
  ASSERT_EQ(result.terms.size(), c["terms"].size()) << what;
  for (const auto& [name, value] : result.terms) {
    ASSERT_TRUE(c["terms"].contains(name)) << what << ", term " << name;
    expect_near(value, c["terms"][name], tolerance, scale, what + ", term " + name);
  }
  expect_near(result.loss, c["value"], tolerance, scale, what);
  expect_gradient(result.gradient, c["gradient"], gradient_tolerance, what);
  if (c.contains("strong_gradient")) {
    expect_gradient(result.strong_gradient, c["strong_gradient"], gradient_tolerance, what + ", second view");
  }
  if (arithmetic == DType::f64 && c.contains("theta_gradient")) {  // in f32 too little is left of its parts
    // theta gets its gradient times (cos(pi e / 10) - 1) / 2, here at e = 1.
    const double reversal = (std::cos(std::numbers::pi / 10) - 1) / 2;
    ASSERT_EQ(result.learned.size(), 1u) << what;
    expect_near(result.learned[0].second[0], reversal * double(c["theta_gradient"]), gradient_tolerance,
                c["value"], what + ", theta");
  }
}

TEST(Losses, F64IsPyTorchs) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  int compared = 0;
  for (const json& c : reference()["cases"]) {
    expect_case(c, *device, DType::f64, 1e-10, 1e-10);
    ++compared;
  }
  EXPECT_GT(compared, 700);
}

TEST(Losses, F32IsPyTorchsF64UpToRounding) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  for (const json& c : reference()["cases"]) {
    // q - p, a difference of nearly equal numbers on some sets, keeps fewer digits than the value.
    if (ranking_survives_f32(c)) expect_case(c, *device, DType::f32, 5e-5, 3e-4);
  }
}

}  // namespace
}  // namespace retort
