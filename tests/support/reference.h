// Reading the reference files of tests/data, and holding values against what they keep of a tensor.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/device.h"
#include "tests/support/closed_formula.h"
#include "tests/support/paths.h"

namespace retort::testing {

// Kept until the program ends: a loop over a part of it looks at something, in C++20 too.
inline const nlohmann::json& reference_file(const char* name) {
  static std::map<std::string, nlohmann::json> read;
  if (const auto known = read.find(name); known != read.end()) return known->second;
  const std::string path = data_folder() + "/" + name;
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  return read.emplace(name, nlohmann::json::parse(file)).first->second;
}

inline Shape shape_of(const nlohmann::json& shape) {
  const auto extents = shape.get<std::vector<int64_t>>();
  return Shape(extents.data(), int(extents.size()));
}

// formula: {name, scale[, shift, bits]}.
inline std::vector<double> formula_values(const nlohmann::json& formula, int64_t count) {
  return closed_values(formula.at("name").get<std::string>(), count, formula.value("scale", 1.0),
                       formula.value("shift", 0.0), formula.value("bits", 22));
}

// Where the reference can be held against: every device built here in f32, and the portable one in f64.
struct Arithmetic {
  std::string device;
  DType type;
  // What rounding may do, relative to the size of the values compared.
  double tolerance() const { return type == DType::f64 ? 1e-11 : 1e-5; }
};

inline void PrintTo(const Arithmetic& a, std::ostream* out) {
  *out << a.device << " " << a.type;
}

inline std::vector<Arithmetic> arithmetics() {
  std::vector<Arithmetic> all = {{"portable", DType::f64}};
  for (const std::string& device : available_devices()) all.push_back({device, DType::f32});
  return all;
}

inline std::string name_of_arithmetic(const ::testing::TestParamInfo<Arithmetic>& info) {
  return info.param.device + "_" + name_of(info.param.type);
}

// stored: {"values": [...]} or the summary that closed_formula.py describes.
inline void expect_reference(const nlohmann::json& stored, const std::vector<double>& found, double tolerance,
                             const std::string& what) {
  if (stored.contains("values")) {
    const auto expected = stored["values"].get<std::vector<double>>();
    ASSERT_EQ(found.size(), expected.size()) << what;
    double largest = 0;
    for (const double v : expected) largest = std::max(largest, std::abs(v));
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], tolerance * largest) << what << ", element " << i;
    }
    return;
  }
  const double abs_sum = stored.at("abs_sum"), mean = abs_sum / double(found.size());
  for (const auto& entry : stored.value("entries", nlohmann::json::array())) {
    const size_t i = entry[0];
    ASSERT_LT(i, found.size()) << what;
    const double expected = entry[1];
    EXPECT_NEAR(found[i], expected, tolerance * (std::abs(expected) + 10 * mean))
        << what << ", element " << i;
  }
  const uint64_t probe = fnv1a64("probe");
  double found_abs = 0, found_probe = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    found_abs += std::abs(found[i]);
    found_probe += found[i] * closed_uniform(probe, i);
  }
  EXPECT_NEAR(found_abs, abs_sum, tolerance * abs_sum) << what << ", sum of absolute values";
  EXPECT_NEAR(found_probe, stored.at("probe").get<double>(), tolerance * abs_sum) << what << ", probe";
}

}  // namespace retort::testing
