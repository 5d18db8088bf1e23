// Scalars of configs as PyYAML and yacs read them; data/python_value.py made the values.
#include "distill/mdistiller/python_value.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/paths.h"

namespace retort {
namespace {

TEST(PythonValue, EveryScalarAsPyYamlReadsIt) {
  std::ifstream file(testing::data_folder() + std::string("/python_value.json"));
  const nlohmann::json rows = nlohmann::json::parse(file);
  ASSERT_GT(rows.size(), 100u);
  for (const nlohmann::json& row : rows) {
    const std::string text = row["text"], kind = row["kind"];
    const std::string found = python_value({.text = text, .quoted = row["quoted"]});
    if (kind == "null") {
      EXPECT_EQ(found, "") << text;
    } else if (kind == "boolean") {
      EXPECT_EQ(found, row["value"].get<bool>() ? "true" : "false") << text;
    } else if (kind == "number") {
      char* end = nullptr;
      EXPECT_EQ(std::strtod(found.c_str(), &end), row["value"].get<double>()) << text << " became " << found;
      EXPECT_EQ(*end, '\0') << text << " became " << found;
      EXPECT_EQ(found.find_first_of("x_:"), std::string::npos) << text << " became " << found;
    } else {
      EXPECT_EQ(found, text);  // refused, as the text it is, by whoever wants a number
    }
  }
}

}  // namespace
}  // namespace retort
