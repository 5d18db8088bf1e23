// Every distillation loss against losses.json: values and gradients that PyTorch gave (see data/losses.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "distill/loss_probe.h"
#include "tests/closed_formula.h"

namespace retort {
namespace {

using nlohmann::json;

const json& reference() {
  static const json all = json::parse(std::ifstream(RETORT_TEST_DATA "/losses.json"));
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
  MethodSettings settings{std::string(c["method"])};
  for (const auto& [key, value] : c["settings"].items()) {
    if (key == "views" || key == "theta") continue;
    settings.set(key, value.is_string() ? std::string(value) : value.dump());
  }
  return settings;
}

ProbeInput input_of(const json& c) {
  const json& of = reference()["sets"][std::string(c["set"])];
  return {.samples = of["B"],
          .classes = of["C"],
          .student = matrix(of, "student"),
          .teacher = matrix(of, "teacher"),
          .labels = of["labels"]};
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

bool known_method(const json& c) {
  return find_method(std::string(c["method"])) != nullptr;
}

void expect_case(const json& c, Device& device, DType arithmetic, double tolerance,
                 double gradient_tolerance) {
  const std::string what =
      text(std::string(c["method"]), " on ", std::string(c["set"]), " ", c["settings"].dump());
  ProbeInput input = input_of(c);
  input.arithmetic = arithmetic;
  // Where the reference (dkd's binary part) or the method itself (1 - correlation) cancels, digits are
  // absolute.
  const double scale = c["method"] == "dist"                          ? 1
                       : c["method"] == "dkd" || c["method"] == "rld" ? 1e-4
                                                                      : 1e-12;
  const ProbeResult result = probe_loss(settings_of(c), device, input);
  ASSERT_EQ(result.terms.size(), c["terms"].size()) << what;
  for (const auto& [name, value] : result.terms) {
    ASSERT_TRUE(c["terms"].contains(name)) << what << ", term " << name;
    expect_near(value, c["terms"][name], tolerance, scale, what + ", term " + name);
  }
  expect_near(result.loss, c["value"], tolerance, scale, what);
  expect_gradient(result.gradient, c["gradient"], gradient_tolerance, what);
}

TEST(Losses, F64IsPyTorchs) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  int compared = 0;
  for (const json& c : reference()["cases"]) {
    if (!known_method(c)) continue;
    expect_case(c, *device, DType::f64, 1e-10, 1e-10);
    ++compared;
  }
  EXPECT_GT(compared, 600);
}

TEST(Losses, F32IsPyTorchsF64UpToRounding) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  for (const json& c : reference()["cases"]) {
    // q - p, a difference of nearly equal numbers on some sets, keeps fewer digits than the value.
    if (known_method(c) && ranking_survives_f32(c)) expect_case(c, *device, DType::f32, 5e-5, 3e-4);
  }
}

}  // namespace
}  // namespace retort
