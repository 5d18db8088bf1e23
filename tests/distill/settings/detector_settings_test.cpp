// What a detector's run is where nobody says otherwise.
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
