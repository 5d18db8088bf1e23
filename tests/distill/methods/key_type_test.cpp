#include "distill/methods/key_type.h"

#include <gtest/gtest.h>

#include <map>

#include "distill/methods/registry.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/results.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;

std::string read(const KeyType& key, const std::string& given) {
  return canonical(key, given).value_or("refused");
}

TEST(KeyType, EveryKindReadsItsValuesAndNoOthers) {
  const KeyType number{.name = "x", .kind = KeyType::number, .fallback = "1", .help = "", .minimum = -1};
  EXPECT_EQ(read(number, ".5"), "0.5");
  EXPECT_EQ(read(number, "5e-1"), "0.5");
  EXPECT_EQ(read(number, "2.0"), "2");
  EXPECT_EQ(read(number, "-0"), "0");
  EXPECT_EQ(read(number, "-1"), "-1");
  EXPECT_EQ(read(number, "1000000"), "1e+06");
  for (const char* no : {"", "-1.5", "1000001", "nan", "inf", "1x", " 1", "+1", "0x10"})
    EXPECT_EQ(read(number, no), "refused") << no;
  EXPECT_EQ(expected(number), "a number of at least -1 and at most 1000000");

  KeyType integer{
      .name = "n", .kind = KeyType::integer, .fallback = "1", .help = "", .exclusive = true, .maximum = 9};
  EXPECT_EQ(read(integer, "03"), "3");
  for (const char* no : {"0", "10", "2.0", "99999999999999999999"})
    EXPECT_EQ(read(integer, no), "refused") << no;
  EXPECT_EQ(expected(integer), "an integer more than 0 and at most 9");
  integer.maximum = 9223372036854774784.0;
  EXPECT_EQ(read(integer, "9007199254740993"), "9007199254740993") << "more digits than a double has";

  const KeyType share{.name = "s", .kind = KeyType::number, .fallback = "0", .help = "", .maximum = 1};
  EXPECT_EQ(read(share, "1"), "1");
  EXPECT_EQ(read(share, "1.0001"), "refused");
  EXPECT_EQ(expected(share), "a number from 0 to 1");
  const KeyType less{.name = "s", .kind = KeyType::number, .fallback = "0", .help = "", .maximum = below_one};
  EXPECT_EQ(read(less, "1"), "refused");
  EXPECT_EQ(expected(less), "a number of at least 0 and less than 1");

  const KeyType flag{.name = "f", .kind = KeyType::flag, .fallback = "false", .help = ""};
  EXPECT_EQ(read(flag, "true"), "true");
  EXPECT_EQ(read(flag, "1"), "refused");
  const KeyType choice{
      .name = "c", .kind = KeyType::choice, .fallback = "a", .help = "", .choices = {"a", "b"}};
  EXPECT_EQ(read(choice, "b"), "b");
  EXPECT_EQ(read(choice, "B"), "refused");
  EXPECT_EQ(expected(choice), "one of a, b");
  const KeyType words{.name = "w", .kind = KeyType::words, .fallback = "", .help = ""};
  EXPECT_EQ(read(words, " 1"), " 1");
  const KeyType epochs{.name = "e", .kind = KeyType::epochs, .fallback = "", .help = ""};
  EXPECT_EQ(read(epochs, "1,02, 30"), "[1, 2, 30]");
  EXPECT_EQ(read(epochs, "[]"), "[]");
  for (const char* no : {"0", "2,2", "3,2", "1,", "[1", "1;2"}) EXPECT_EQ(read(epochs, no), "refused") << no;
}

// A value that nobody set is told from one that was by its text.
TEST(KeyType, DefaultsAreValuesOfTheirKeys) {
  for (const SettingKey& key : setting_keys()) {
    if (key.fallback.empty()) continue;
    EXPECT_EQ(read(key, key.fallback), key.fallback) << key.name;
  }
  for (const MethodInfo& method : methods()) {
    for (const MethodKey& key : method.keys)
      EXPECT_EQ(read(key, key.fallback), key.fallback) << method.name << " " << key.name;
  }
}

// However a value is typed, the run is the same: its hash, its file, its row of a table.
TEST(KeyType, OneValueHasOneText) {
  const auto run_of = [](const std::string& stages, const std::string& alpha, const std::string& lr) {
    RunSettings settings = default_settings("distill");
    set_key(settings, "method.name", "pcd");
    set_key(settings, "method.stages", stages);
    set_key(settings, "method.alpha", alpha);
    set_key(settings, "optimizer.lr", lr);
    return settings;
  };
  const RunSettings plain = run_of("3", "1", "0.05"), other = run_of("03", "1.0", "5e-2");
  EXPECT_EQ(deciding(plain), deciding(other));
  EXPECT_EQ(settings_toml(plain), settings_toml(other));
  EXPECT_EQ(method_label(plain), "pcd");
  EXPECT_EQ(method_label(other), "pcd");
  // The file is TOML, which has no 03, and says the same.
  const testing::TempFolder folder;
  RunSettings again;
  read_settings(folder.write("config.toml", settings_toml(other)), again);
  EXPECT_EQ(deciding(again), deciding(plain));
}

TEST(KeyType, ValuesAreListedOnceWithTheirKeys) {
  RunSettings settings = default_settings("distill");
  set_key(settings, "method.name", "kd");
  set_key(settings, "method.alpha", ".25");
  std::map<std::string, std::string> values;
  std::string order;
  for (const auto& [name, key, value] : key_values(settings)) {
    EXPECT_TRUE(values.emplace(name, value).second) << name;
    if (key.kind != KeyType::epochs) {
      EXPECT_EQ(read(key, value), value) << name;
    }
    order += name + " ";
  }
  EXPECT_EQ(values["method.name"], "kd");
  EXPECT_EQ(values["method.alpha"], "0.25");
  EXPECT_EQ(values["optimizer.lr"], "0.05");
  EXPECT_TRUE(order.starts_with("command model ")) << order;
  EXPECT_LT(order.find("method.name"), order.find("method.alpha"));
}

// Another value that the key takes; empty where there is none.
std::string another(const KeyType& key, const std::string& value) {
  const std::vector<std::string> tried = key.kind == KeyType::choice  ? key.choices
                                         : key.kind == KeyType::words ? std::vector<std::string>{"other"}
                                         : key.kind == KeyType::flag
                                             ? std::vector<std::string>{"true", "false"}
                                             : std::vector<std::string>{"1", "2", "0.5"};
  for (const std::string& one : tried) {
    const std::optional<std::string> written = canonical(key, one);
    if (written && *written != value) return *written;
  }
  return "";
}

// The column says what decides; `deciding` has no list of its own, apart from what as_decided() names.
TEST(KeyType, WhatChangesTheResultDecides) {
  const std::string usual = deciding(RunSettings{});
  for (const SettingKey& key : setting_keys()) {
    RunSettings settings;
    const std::string value = another(key, get_key(settings, key));
    ASSERT_NE(value, "") << key.name << " has one value";
    set_key(settings, key.name, value);
    // Where the teacher's logits come from changes no bits here, and "auto" is what is tried for shards.
    if (key.name.starts_with("teacher_source") || key.name == "teacher_table.precision" ||
        key.name == "shards" || key.name == "data.augment" || key.name == "data.spec")
      continue;
    EXPECT_EQ(deciding(settings) != usual, key.effect == KeyEffect::result) << key.name << " = " << value;
  }
}

TEST(KeyType, WhatGivesTheSameBitsDecidesAlike) {
  RunSettings live, table;
  live.teacher_source = "live";
  table.teacher_source = "table";
  EXPECT_EQ(deciding(live), deciding(table));
  table.teacher_table.precision = "f16";
  EXPECT_NE(deciding(live), deciding(table)) << "rounded logits are others";
  table.teacher_table.precision = "f32";
  live.device = table.device = "cuda";
  EXPECT_NE(deciding(live), deciding(table)) << "the teacher's batches are others there";
  RunSettings one, own;
  one.shards = 1;
  EXPECT_EQ(deciding(one), deciding(own));
  EXPECT_EQ(training_keys(one), training_keys(own)) << "else the same bits are two rows of a table";
}

TEST(KeyType, MethodsAndRunsRefuseInTheSameWords) {
  const auto refusal = [](const std::string& key, const std::string& value) {
    return error_of(Fault::usage, [&] {
      RunSettings settings = default_settings("distill");
      set_key(settings, key, value);
    });
  };
  expect_contains(refusal("method.alpha", "-1"), "expected a number of at least 0 and at most 1000000");
  expect_contains(refusal("epochs", "0"), "expected an integer of at least 1 and at most 1000000");
  expect_contains(refusal("method.standardize", "1"), "expected true or false");
  expect_contains(refusal("data.shuffle", "1"), "expected true or false");
}

}  // namespace
}  // namespace retort
