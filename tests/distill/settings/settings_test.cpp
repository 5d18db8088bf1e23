#include "distill/settings/settings.h"

#include <gtest/gtest.h>

#include "distill/settings/setting_keys.h"
#include "distill/settings/toml_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;
using testing::expect_fault;
using testing::TempFolder;

RunSettings distillation() {
  RunSettings settings = default_settings("distill");
  settings.model = "resnet20";
  settings.teacher = "runs/teacher";
  return settings;
}

RunSettings read(const TempFolder& folder, const std::string& toml, RunSettings settings = {}) {
  read_settings(folder.write("config.toml", toml), settings);
  return settings;
}

std::string refusal(const std::string& toml) {
  TempFolder folder;
  return error_of(Fault::usage, [&] { read(folder, toml); });
}

TEST(Settings, ReadsEveryTypeOfKey) {
  TempFolder folder;
  const RunSettings settings = read(folder, R"(
model = "resnet8"
epochs = 12
seed = 9007199254740993
[data]
spec = "cifar100:/data"
shuffle = false
limit = 100
[optimizer]
lr = 1
weight_decay = 1e-4
[schedule]
milestones = [6, 9]
[method]
stages = 5
name = "pcd"
temperature = 2
ranking = "none"
standardize = true
)");
  EXPECT_EQ(settings.model, "resnet8");
  EXPECT_EQ(settings.epochs, 12);
  EXPECT_EQ(settings.seed, 9007199254740993u);
  EXPECT_EQ(settings.data.spec, "cifar100:/data");
  EXPECT_FALSE(settings.data.shuffle);
  EXPECT_EQ(settings.data.limit, 100);
  EXPECT_EQ(settings.optimizer.lr, 1.0);
  EXPECT_EQ(settings.optimizer.weight_decay, 1e-4);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{6, 9}));
  EXPECT_EQ(settings.method.method().name, "pcd");
  EXPECT_EQ(settings.method.integer("stages"), 5);
  EXPECT_EQ(settings.method.number("temperature"), 2.0);
  EXPECT_EQ(settings.method.choice("ranking"), "none");
  EXPECT_TRUE(settings.method.flag("standardize"));
}

TEST(Settings, UnknownKeysNameTheNearestAndTheLine) {
  const std::string message = refusal("model = \"resnet8\"\n\n[optimiser]\nlr = 0.1\n");
  expect_contains(message, "config.toml:4:");
  expect_contains(message, "'optimiser.lr'");
  expect_contains(message, "did you mean 'optimizer.lr'?");
  expect_contains(refusal("epoch = 3"), "did you mean 'epochs'?");
  expect_contains(refusal("lr = 3"), "did you mean 'optimizer.lr'?");
  expect_contains(refusal("data = \"synthetic\""), "did you mean 'data.spec'?");
  expect_contains(refusal("[optimiser]\n"), "unknown key 'optimiser'");
  expect_contains(refusal("[method]\nname = \"pcd\"\nstage = 3"), "did you mean 'stages'?");
  expect_contains(refusal("[method]\nname = \"pcb\""), "did you mean 'pcd'?");
  expect_contains(refusal("[data.spec]\nx = 1"), "unknown key 'data.spec.x'");
}

TEST(Settings, WrongTypesAndRangesSayWhatWasExpected) {
  expect_contains(refusal("epochs = \"3\""),
                  "config.toml:1: epochs is a string, expected an integer of at least 1");
  expect_contains(refusal("epochs = 3.0"), "epochs is a number, expected an integer");
  expect_contains(refusal("epochs = 0"), "epochs is '0', expected an integer of at least 1");
  expect_contains(refusal("epochs = 99999999999"), "epochs is '99999999999'");
  expect_contains(refusal("seed = -1"), "seed is '-1', expected an integer of at least 0");
  expect_contains(refusal("model = 20"), "model is an integer, expected text");
  expect_contains(refusal("model = 2001-01-01"), "model is a date");
  expect_contains(refusal("[data]\nshuffle = 1"), "data.shuffle is an integer, expected true or false");
  expect_contains(refusal("[data]\naugment = \"flip\""), "expected one of auto, crop-flip");
  expect_contains(refusal("[optimizer]\nlr = 0"), "expected a number more than 0");
  expect_contains(refusal("[optimizer]\nlr = nan"), "optimizer.lr is 'nan'");
  expect_contains(refusal("[optimizer]\nmomentum = 1"), "of at least 0 and less than 1");
  expect_contains(refusal("[schedule]\nmilestones = 3"), "expected ascending epochs");
  expect_contains(refusal("[schedule]\nmilestones = [3, 2]"), "expected ascending epochs");
  expect_contains(refusal("[schedule]\nmilestones = [\"3\"]"),
                  "milestones is an array, expected ascending epochs");
  expect_contains(refusal("[method]\nname = 3"), "method.name is an integer, expected the name of a method");
  expect_contains(refusal("[method]\nname = \"kd\"\ntemperature = \"4\""), "temperature is a string");
  expect_contains(refusal("[method]\nname = \"pcd\"\nstages = 2.5"),
                  "stages is a number, expected an integer");
}

TEST(Settings, SyntaxErrorsNameFileAndLine) {
  const std::string message = refusal("model = \"resnet8\"\nepochs = = 3\n");
  expect_contains(message, "config.toml:2:");
  expect_contains(refusal("a = 1\na = 2\n"), "config.toml:2:");
  expect_contains(refusal("a = \"\xff\"\n"), "config.toml:1:");
}

TEST(Settings, AMissingFileIsInput) {
  TempFolder folder;
  RunSettings settings;
  expect_fault(Fault::input, "absent.toml", [&] { read_settings(folder / "absent.toml", settings); });
  expect_fault(Fault::input, folder.path().string(), [&] { read_settings(folder.path(), settings); });
}

TEST(Settings, InheritedKeysComeBeforeOnesOwn) {
  TempFolder folder;
  folder.write("base.toml", "epochs = 3\nbatch = 8\n[method]\nname = \"kd\"\ntemperature = 7\n");
  folder.write("pair/middle.toml", "inherit = \"../base.toml\"\nbatch = 16\n");
  RunSettings settings;
  read_settings(folder.write("pair/leaf.toml", "inherit = \"middle.toml\"\n[method]\nalpha = 2\n"), settings);
  EXPECT_EQ(settings.epochs, 3);
  EXPECT_EQ(settings.batch, 16);
  EXPECT_EQ(settings.method.number("temperature"), 7);
  EXPECT_EQ(settings.method.number("alpha"), 2);
}

TEST(Settings, CirclesAndMissingBasesAreRefused) {
  TempFolder folder;
  RunSettings settings;
  folder.write("a.toml", "inherit = \"b.toml\"\n");
  folder.write("b.toml", "inherit = \"./a.toml\"\n");
  expect_fault(Fault::usage, "a.toml inherits b.toml inherits a.toml",
               [&] { read_settings(folder / "a.toml", settings); });
  expect_fault(Fault::input, "none.toml",
               [&] { read_settings(folder.write("c.toml", "inherit = \"none.toml\"\n"), settings); });
  expect_fault(Fault::usage, "inherit is an integer",
               [&] { read_settings(folder.write("d.toml", "inherit = 3\n"), settings); });
}

TEST(Settings, AnotherMethodBeginsWithItsOwnDefaults) {
  RunSettings settings = default_settings("distill");
  set_key(settings, "method.temperature", "9");
  set_key(settings, "method.name", "pcd");
  EXPECT_EQ(settings.method.number("temperature"), 9) << "the same method again keeps what was set";
  set_key(settings, "method.name", "kd");
  EXPECT_EQ(settings.method.number("temperature"), 4);
}

TEST(Settings, SetTakesTheSameKeysAsFiles) {
  RunSettings settings;
  set_key(settings, "optimizer.lr", "1e-2");
  set_key(settings, "schedule.milestones", "3, 5");
  set_key(settings, "data.spec", "cifar10:a b");
  EXPECT_EQ(settings.optimizer.lr, 0.01);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{3, 5}));
  EXPECT_EQ(settings.data.spec, "cifar10:a b");
  set_key(settings, "schedule.milestones", "[]");
  EXPECT_EQ(settings.schedule.milestones, std::vector<int>{});
  for (const char* bad : {"3,", ",", "0", "a", "3 5x", "5,5"}) {
    expect_fault(Fault::usage, "schedule.milestones", [&] { set_key(settings, "schedule.milestones", bad); });
  }
  for (const char* bad : {"", "1x", " 1", "inf", "-1"}) {
    expect_fault(Fault::usage, "optimizer.lr", [&] { set_key(settings, "optimizer.lr", bad); });
  }
  EXPECT_EQ(settings.optimizer.lr, 0.01) << "a refused value changes nothing";
}

TEST(Settings, WhatIsWrittenReadsBackTheSame) {
  TempFolder folder;
  RunSettings settings = distillation();
  settings.teacher = "odd \"name\"\\\n\x1b:best";
  settings.seed = 9223372036854774784u;
  settings.epochs = 7;
  settings.optimizer.lr = 0.1 + 0.2;
  settings.checkpoint_minutes = 0;
  settings.method = method_settings("pcd");
  settings.method.set("alpha", ".5");
  settings.method.set("direction", "fine-to-coarse");
  settings.method.set("standardize", "true");
  resolve(settings);
  const std::string written = settings_toml(settings);
  RunSettings again = read(folder, written, default_settings("train"));
  EXPECT_EQ(settings_toml(again), written);
  EXPECT_EQ(again.teacher, settings.teacher);
  EXPECT_EQ(again.optimizer.lr, settings.optimizer.lr);
  EXPECT_EQ(again.method.number("alpha"), 0.5);
  EXPECT_TRUE(resolve(again).empty()) << "resolved settings have nothing left to scale";
  EXPECT_EQ(settings_toml(again), written);
}

TEST(Settings, WrittenMilestonesMayBeEmpty) {
  TempFolder folder;
  RunSettings settings;
  settings.schedule.milestones = std::vector<int>{};
  EXPECT_EQ(read(folder, settings_toml(settings)).schedule.milestones, std::vector<int>{});
}

TEST(Settings, EveryKeyIsWrittenReadAndDescribed) {
  RunSettings settings;
  for (const SettingKey& key : setting_keys()) {
    const std::string value = get_key(settings, key);
    if (!value.empty()) set_key(settings, key.name, value);
    EXPECT_EQ(get_key(settings, key), value) << key.name;
    EXPECT_FALSE(key.help.empty()) << key.name;
  }
}

TEST(Resolve, ShorterRunsScaleWhatNobodySet) {
  RunSettings settings = distillation();
  settings.epochs = 24;
  const std::vector<std::string> notes = resolve(settings);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{15, 18, 21}));
  EXPECT_EQ(settings.method.number("warmup"), 2);
  ASSERT_EQ(notes.size(), 2u);
  expect_contains(notes[0], "15, 18, 21");
  expect_contains(notes[1], "warm-up lasts 2 of 24 epochs, scaled from 20 of 240");
}

TEST(Resolve, SaysWhereThereAreNoLabelsToSmooth) {
  RunSettings settings = distillation();
  settings.epochs = 240;
  settings.loss.label_smoothing = 0.1;
  EXPECT_TRUE(resolve(settings).empty());
  settings.method.set("ce_weight", "0");
  expect_contains(resolve(settings).at(0), "loss.label_smoothing is not used");
}

// Never to 0, which the method does not take.
TEST(Resolve, ShorterRunsScaleACurriculum) {
  for (const auto& [epochs, scaled] : {std::pair{24, 1.0}, std::pair{1, 0.1}}) {
    RunSettings settings = distillation();
    settings.method = method_settings("ctkd");
    settings.epochs = epochs;
    resolve(settings);
    EXPECT_EQ(settings.method.number("curriculum"), scaled);
  }
}

TEST(Resolve, WhatIsSetIsNeverScaled) {
  RunSettings settings = distillation();
  settings.epochs = 24;
  settings.schedule.milestones = std::vector<int>{150, 180, 210};
  settings.method.set("warmup", "20");
  EXPECT_TRUE(resolve(settings).empty());
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{150, 180, 210}));
  EXPECT_EQ(settings.method.number("warmup"), 20);
}

TEST(Resolve, FullAndLongerRunsKeepTheRecipe) {
  for (const int epochs : {240, 480}) {
    RunSettings settings = distillation();
    settings.epochs = epochs;
    EXPECT_TRUE(resolve(settings).empty());
    EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{150, 180, 210}));
    EXPECT_EQ(settings.method.number("warmup"), 20);
  }
}

TEST(Resolve, EveryMilestoneOfAShortRunHasAnEpochOfItsOwn) {
  RunSettings settings = distillation();
  settings.epochs = 5;
  resolve(settings);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{3, 4}));
  settings.schedule.milestones.reset();
  settings.epochs = 1;
  resolve(settings);
  EXPECT_EQ(settings.schedule.milestones, std::vector<int>{});
}

// toml++ asserts where one of these stands in place of a key: found by fuzzing.
TEST(Toml, ControlCharactersAreRefused) {
  for (const char c : {'\0', '\1', '\x1b', '\x7f'}) {
    for (const std::string& text : {std::string("a = 1\n[") + c + "]", "a = 1\nb = '" + std::string(1, c) + "'"})
      expect_fault(Fault::usage, "file:2: the control character", [&] { parse_toml(text, "file"); });
  }
  EXPECT_EQ(parse_toml("\ta = 1\r\n", "file").names, std::vector<std::string>{"a"});
}

// 400,000 parts of a key used up the stack.
TEST(Toml, DeepKeysAndValuesAreRefused) {
  const auto repeated = [](const std::string& part, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += part;
    return all;
  };
  for (const int parts : {257, 400'000}) {
    expect_fault(Fault::usage, "file:2: more than 256 dots in a line",
                 [&] { parse_toml("b = 1\na" + repeated(".a", parts) + " = 1", "file"); });
    expect_fault(Fault::usage, "file:1: more than 256 dots in a line",
                 [&] { parse_toml("[" + repeated("a.", parts) + "b]\nx = 1", "file"); });
    expect_fault(Fault::usage, "file:1: ", [&] {
      parse_toml("a = " + repeated("[", parts) + repeated("]", parts), "file");
    });
  }
  // As deep as a file can be.
  const std::string key = "a" + repeated(".a", 256);
  std::string deepest = "[" + key + "]\n" + key + " = ";
  for (int i = 0; i < 7; ++i) deepest += "[\n{" + key + " = ";
  deepest += "1";
  for (int i = 0; i < 7; ++i) deepest += "}]";
  EXPECT_EQ(parse_toml(deepest, "file").names, std::vector<std::string>{"a"});
}

TEST(Resolve, RefusesWhatCannotRun) {
  const auto refused = [](const std::string& part, auto change) {
    RunSettings settings = distillation();
    change(settings);
    expect_fault(Fault::usage, part, [&] { resolve(settings); });
  };
  refused("no network is named", [](RunSettings& s) { s.model.clear(); });
  refused("did you mean 'resnet20'?", [](RunSettings& s) { s.model = "resnet21"; });
  refused("teacher_model is 'x'", [](RunSettings& s) { s.teacher_model = "x"; });
  refused("needs a teacher", [](RunSettings& s) { s.teacher.clear(); });
  refused("use `retort distill`", [](RunSettings& s) { s.command = "train"; });
  refused("use `retort distill`", [](RunSettings& s) {
    s.command = "train";
    s.method = method_settings("ce");
  });
  refused("ls-ce smooths the labels itself (method.smoothing)", [](RunSettings& s) {
    s.method = method_settings("ls-ce");
    s.loss.label_smoothing = 0.1;
  });
  RunSettings alone = distillation();
  alone.method = method_settings("ce");
  alone.teacher.clear();
  EXPECT_NO_THROW(resolve(alone));
  alone.teacher = "runs/t";
  expect_contains(resolve(alone).at(0), "reads no teacher; 'runs/t' is not used");
}

// Three bytes that toml++ 3.3.0 takes for a place it cannot come to.
TEST(Settings, FilesThatAreNoUtf8AreRefused) {
  TempFolder work;
  for (const std::string bad : {"\xff\xfe", "\xe0\x80\x80", "\xf0\x90", "\xed\xa0\x80"}) {
    const auto file = work.write("a.toml", "epochs = 3\nmodel = \"" + bad + "\"\n");
    RunSettings settings;
    expect_fault(Fault::usage, "a.toml:2: byte", [&] { read_settings(file, settings); });
    expect_fault(Fault::usage, "no UTF-8", [&] { read_settings(file, settings); });
    // It would stand in config.toml.
    expect_fault(Fault::usage, "no UTF-8", [&] { set_key(settings, "init", bad); });
  }
}

}  // namespace
}  // namespace retort
