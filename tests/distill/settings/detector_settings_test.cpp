// What a detector's run is where nobody says otherwise.
#include <algorithm>

#include "distill/methods/registry.h"
#include "distill/settings/setting_keys.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_fault;

using Pairs = std::vector<std::pair<std::string, std::string>>;

RunSettings detector(const std::string& model, const std::string& method, const Pairs& more = {}) {
  return composed_settings("distill", [&](RunSettings& settings) {
    settings.model = model;
    settings.teacher = "teacher.safetensors";
    set_key(settings, "method.name", method);
    for (const auto& [key, value] : more) set_key(settings, key, value);
  });
}

std::string value_of(const RunSettings& settings, const std::string& name) {
  for (const KeyValue& one : key_values(settings))
    if (one.name == name) return one.value;
  return "there is no such key";
}

TEST(DetectorSettings, MethodsAreAsOnBoxesBeforeTheRunBegins) {
  for (const auto& [method, key, value] :
       std::vector<std::tuple<std::string, std::string, std::string>>{{"kd", "temperature", "1"},
                                                                      {"kd", "alpha", "1"},
                                                                      {"dkd", "beta", "0.25"},
                                                                      {"dkd", "warmup", "0"},
                                                                      {"pcd", "warmup", "0"},
                                                                      {"pcd", "stages", "3"},
                                                                      {"reviewkd", "width", "256"}})
    EXPECT_EQ(value_of(detector("rcnn_tiny", method), "method." + key), value) << method;
  EXPECT_EQ(value_of(detector("rcnn_mv2", "pcd"), "method.stages"), "5");
  EXPECT_EQ(value_of(detector("rcnn_mv2", "pcd", {{"method.stages", "4"}}), "method.stages"), "4");
  EXPECT_EQ(value_of(detector("rcnn_tiny", "dkd", {{"method.warmup", "20"}}), "method.warmup"), "20");
}

// What --print-config shows gives the same run when it is read.
TEST(DetectorSettings, AsTextTheyAreTheSameRun) {
  for (const char* method : {"ce", "kd", "dkd", "pcd", "reviewkd"}) {
    SCOPED_TRACE(method);
    RunSettings first = detector("rcnn_mv2", method);
    const TomlValue table = parse_toml(settings_toml(first), "printed");
    RunSettings second = composed_settings(
        "distill", [&](RunSettings& settings) { set_from_table(settings, table, "printed"); });
    resolve(first);
    resolve(second);
    EXPECT_EQ(settings_toml(first), settings_toml(second));
  }
}

TEST(DetectorSettings, NormsDoNotDecay) {
  EXPECT_FALSE(detector("rcnn_tiny", "ce").optimizer.norm_decay);
  EXPECT_TRUE(detector("resnet8", "kd").optimizer.norm_decay);
}

TEST(DetectorSettings, StepsAreTestedNowAndThen) {
  RunSettings settings =
      detector("rcnn_r50", "kd", {{"schedule.steps", "180000"}, {"schedule.evaluate_every", "5000"}});
  resolve(settings);
  EXPECT_EQ(settings.epochs, 36);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{120000, 160000}));
  settings = detector("rcnn_tiny", "kd", {{"schedule.steps", "2400"}});
  resolve(settings);
  EXPECT_EQ(settings.epochs, 1);
  EXPECT_EQ(settings.schedule.evaluate_every, 2400);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{1680, 2160}));
  settings = detector("rcnn_r50", "kd", {{"epochs", "9"}});
  resolve(settings);
  EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{6, 8}));

  settings = detector("rcnn_tiny", "kd", {{"schedule.steps", "10"}, {"schedule.evaluate_every", "4"}});
  expect_fault(Fault::usage, "evaluate_every 4", [&] { resolve(settings); });
  settings = detector("rcnn_tiny", "kd", {{"schedule.evaluate_every", "4"}});
  expect_fault(Fault::usage, "give --steps too", [&] { resolve(settings); });
  settings = detector("resnet8", "kd", {{"schedule.steps", "10"}});
  expect_fault(Fault::usage, "use --epochs", [&] { resolve(settings); });
}

TEST(DetectorSettings, TheRatesWarmUpIsAsMuchShorterAsTheRun) {
  const auto steps = [](const std::string& model, const Pairs& more) {
    return value_of(detector(model, "kd", more), "schedule.warmup_steps");
  };
  EXPECT_EQ(steps("rcnn_tiny", {}), "200");
  EXPECT_EQ(steps("rcnn_tiny", {{"epochs", "2"}}), "40");
  EXPECT_EQ(steps("rcnn_tiny", {{"epochs", "99"}}), "200");
  EXPECT_EQ(steps("rcnn_small", {{"schedule.steps", "240"}}), "20");
  EXPECT_EQ(steps("rcnn_r50", {{"schedule.steps", "180000"}}), "1000");
  EXPECT_EQ(steps("rcnn_r50", {{"schedule.steps", "18000"}}), "100");
  EXPECT_EQ(steps("rcnn_r50", {{"epochs", "13"}}), "1000");
  EXPECT_EQ(steps("rcnn_tiny", {{"epochs", "2"}, {"schedule.warmup_steps", "200"}}), "200")
      << "as it was set";
  RunSettings settings = detector("rcnn_tiny", "kd", {{"epochs", "2"}});
  const std::vector<std::string> notes = resolve(settings);
  EXPECT_NE(std::find(notes.begin(), notes.end(),
                      "lr rises over 40 steps: the recipe's are 200 of 10 epochs (schedule.warmup_steps)"),
            notes.end());
}

TEST(DetectorSettings, FilesThatKeysNameAreInTheDatasSpecOverItsOwn) {
  const auto spec = [](const Pairs& more) {
    return value_of(detector("rcnn_tiny", "kd", more), "data.spec");
  };
  const std::pair<std::string, std::string> given = {"data.spec", "coco:a,b,test=t.json"};
  EXPECT_EQ(spec({given}), "coco:a,b,test=t.json");
  EXPECT_EQ(spec({given, {"data.train_json", "u.json"}, {"data.images", "p"}}),
            "coco:a,b,train=u.json,test=t.json,images=p");
  EXPECT_EQ(spec({given, {"data.test_json", "other.json"}}), "coco:a,b,test=other.json");
  EXPECT_EQ(spec({{"data.test_json", "other.json"}, given}), "coco:a,b,test=t.json") << "the later counts";
  RunSettings settings = detector("rcnn_tiny", "kd", {{"data.test_json", "other.json"}});
  EXPECT_NE(resolve(settings).at(0).find("data.test_json is 'other.json', which is not used"),
            std::string::npos);
}

// Red and blue interchanged, in units of a byte's 255 parts: means 103.53 116.28 123.675 of B, G, R.
TEST(DetectorSettings, NormalizesAsMdistillersSlip) {
  RunSettings settings = detector("rcnn_r18", "dkd", {{"normalize", "mdistiller"}});
  resolve(settings);
  EXPECT_EQ(settings.data.mean, "0.406 0.456 0.485");
  EXPECT_EQ(settings.data.std, "0.225 0.224 0.229");
  EXPECT_EQ(settings.teacher_mean, "0.406 0.456 0.485");
  EXPECT_EQ(settings.teacher_std.substr(0, 8), "0.003921");
  for (const char* model : {"rcnn_r50", "resnet8"}) {
    settings = detector(model, "dkd", {{"normalize", "mdistiller"}});
    expect_fault(Fault::usage, "normalize is mdistiller", [&] { resolve(settings); });
  }
}

}  // namespace
}  // namespace retort
