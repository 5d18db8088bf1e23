// What tests of whole runs share: commands put together, results taken out of what the program says and leaves.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {

using Strings = std::vector<std::string>;

inline Strings operator+(Strings a, const Strings& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Expects success. in: the folder below `work` to start from.
inline Outcome succeed(const Strings& arguments, const TempFolder& work, const std::string& in = "") {
  Outcome outcome = Program(arguments, in.empty() ? work.path() : work / in).wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome;
}

// What a command that has --json says; null if it failed.
inline nlohmann::json json_of(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.code == 0 ? nlohmann::json::parse(outcome.out) : nlohmann::json();
}

// Of the last weights, as train and distill say it with --json; empty if they failed.
inline std::string hash_of(const Outcome& outcome) {
  const nlohmann::json said = json_of(outcome);
  return said.is_null() ? "" : said["weights_hash"].get<std::string>();
}

// The same as a run's folder says it.
inline std::string hash_in(const std::filesystem::path& folder) {
  return nlohmann::json::parse(content_of(folder / "summary.json"))["weights_hash"];
}

// The first `from`, which has to be there, made `to`.
inline std::string replaced(std::string all, const std::string& from, const std::string& to) {
  const size_t at = all.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? all : all.replace(at, from.size(), to);
}

}  // namespace retort::testing
