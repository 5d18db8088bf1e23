#include "distill/run/run_record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "distill/run/sealed.h"
#include "engine/base/atomic_file.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::expect_contains;
using testing::TempFolder;

TEST(RunRecord, EnvironmentOfARunAndItsResumes) {
  TempFolder folder;
  Environment environment = this_environment();
  EXPECT_FALSE(environment.version.empty() || environment.compiler.empty() || environment.system.empty());
  environment.arguments = {"retort", "train", "--out", "na\xefve \"x\""};  // not UTF-8
  environment.libraries = {{"oneDNN", "2.6.3"}};
  environment.devices = {"CPU"};
  environment.seed = ~uint64_t{0};
  write_environment(folder / "env.json", environment, false);
  json read = json::parse(read_text_file(folder / "env.json"));
  EXPECT_EQ(read["libraries"]["oneDNN"], "2.6.3");
  EXPECT_EQ(read["commit"], built_commit().hash);
  EXPECT_EQ(read["changed"], built_commit().changed);
  EXPECT_EQ(read["arguments"].size(), 4u);
  EXPECT_EQ(read["seed"].get<uint64_t>(), ~uint64_t{0});

  environment.seed = 2;
  write_environment(folder / "env.json", environment, true);
  write_environment(folder / "env.json", environment, true);
  read = json::parse(read_text_file(folder / "env.json"));
  EXPECT_EQ(read["seed"].get<uint64_t>(), ~uint64_t{0});
  ASSERT_EQ(read["resumed"].size(), 2u);
  EXPECT_EQ(read["resumed"][1]["seed"], 2);

  for (const char* broken : {"{", "[]", "{\"resumed\": 1}"}) {
    write_file(folder / "env.json", broken);
    expect_contains(
        error_of(Fault::input, [&] { write_environment(folder / "env.json", environment, true); }),
        "env.json");
  }
}

TEST(RunRecord, TheMachineAndItsLibraries) {
  TempFolder folder;
  write_environment(folder / "env.json", this_environment(), false);
  const json read = json::parse(read_text_file(folder / "env.json"));
  EXPECT_NE(read["processor"], "");
  EXPECT_GE(read["cores"].get<int>(), read["usable_cores"].get<int>());
  EXPECT_GE(read["usable_cores"].get<int>(), 1);
  EXPECT_GT(read["memory_bytes"].get<int64_t>(), int64_t(1) << 26);

  auto libraries = libraries_of("oneDNN 2.6.3, AVX-512, 2 threads");
  EXPECT_EQ(libraries["oneDNN"], "2.6.3");
  libraries.erase("oneDNN");
  libraries.erase("glibc");
  EXPECT_TRUE(libraries.empty());
  libraries = libraries_of(
      "cuda, NVIDIA X 1.5 GB, compute capability 9.0, CUDA 13.0, driver for 13.0, cuBLAS 13.1.0, "
      "cuDNN 9.19.0, tf32");
  EXPECT_EQ(libraries["CUDA"], "13.0");
  EXPECT_EQ(libraries["cuBLAS"], "13.1.0");
  EXPECT_EQ(libraries["cuDNN"], "9.19.0");
  EXPECT_EQ(libraries.count("driver") + libraries.count("compute"), 0u);
}

TEST(RunRecord, SummaryRoundTrip) {
  TempFolder folder;
  Summary summary{.status = "running",
                  .command = "distill",
                  .model = "resnet8x4",
                  .teacher = "resnet32x4",
                  .method = "pcd",
                  .data = "cifar100:\"d\"",
                  .device = "onednn",
                  .seed = 7,
                  .epochs = 240,
                  .epochs_done = 12,
                  .seconds = 1234.5,
                  .best_by = "test",
                  .best = EpochResult{11, valued(classification_metrics(), {76.54, 93.1, 0.9})},
                  .last = {},
                  .weights_hash = "0123"};
  write_summary(folder / "summary.json", summary);
  Summary read = read_summary(folder / "summary.json");
  EXPECT_EQ(read.method, "pcd");
  EXPECT_EQ(read.data, summary.data);
  EXPECT_EQ(read.seconds, 1234.5);
  EXPECT_EQ(read.best->epoch, 11);
  EXPECT_EQ(read.best->first(), 76.54);
  EXPECT_FALSE(read.last);

  summary.last = EpochResult{12, valued(classification_metrics(), {1.0, 5.0, std::nan("")})};
  write_summary(folder / "summary.json", summary);
  EXPECT_TRUE(std::isnan(read_summary(folder / "summary.json").last->value("loss")));
  const json written = json::parse(read_text_file(folder / "summary.json"));
  EXPECT_TRUE(written["last"]["loss"].is_null());
  EXPECT_EQ(written["schema"], 1);
  EXPECT_EQ(written["metrics"]["top1"]["best"], 76.54);
  EXPECT_EQ(written["metrics"]["top1"]["last"], 1.0);
  EXPECT_EQ(written["metrics"]["top5"]["last"], 5.0);
  EXPECT_EQ(written["metrics"]["top1"]["better"], "higher");
  EXPECT_EQ(written["metrics"]["loss"]["better"], "lower");
  EXPECT_EQ(written["metrics"]["loss"]["best"], 0.9);
  EXPECT_TRUE(written["metrics"]["loss"]["last"].is_null());
}

// A right hash makes no number true.
TEST(RunRecord, NumbersOutOfTheirRange) {
  using ordered = nlohmann::ordered_json;
  TempFolder folder;
  const std::filesystem::path file = folder / "summary.json";
  Summary summary;
  summary.status = "finished";
  summary.model = "resnet8";
  summary.epochs = summary.epochs_done = 2;
  summary.best = summary.last = EpochResult{2, valued(classification_metrics(), {50, 60, 1.5})};
  write_summary(file, summary);
  const ordered whole = ordered::parse(read_text_file(file));
  const ordered result = whole["last"];
  const auto with = [&](const char* key, const ordered& value) {
    ordered changed = result;
    changed[key] = value;
    return changed;
  };
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, ordered>>{{"epochs", -1},
                                                    {"epochs", 1.5},
                                                    {"epochs", int64_t{1} << 62},
                                                    {"epochs", "2"},
                                                    {"epochs_done", 1e308},
                                                    {"seed", -1},
                                                    {"seed", 0.5},
                                                    {"seconds", -1},
                                                    {"views", 0},
                                                    {"views", 163},
                                                    {"last", 3},
                                                    {"last", with("top1", 100.5)},
                                                    {"last", with("top5", -1)},
                                                    {"best", with("epoch", -1)},
                                                    {"best", with("loss", "low")}}) {
    SCOPED_TRACE(std::string(key) + " " + value.dump());
    ordered changed = whole;
    changed[key] = value;
    write_file(file, sealed(changed).dump());
    expect_contains(error_of(Fault::input, [&] { read_summary(file); }), "summary.json");
  }
  write_file(file, sealed(whole).dump());
  EXPECT_EQ(read_summary(file).last->first(), 50);
}

// What 0.1.0 and detectors before schema 1 wrote names its metrics in the results alone.
TEST(RunRecord, MetricsAreThoseOfTheFile) {
  TempFolder folder;
  const std::filesystem::path file = folder / "summary.json";
  Summary summary;
  summary.metrics = detection_metrics();
  summary.last = EpochResult{1, valued(detection_metrics(), {20, 45, -1})};
  write_summary(file, summary);
  auto old = nlohmann::ordered_json::parse(read_text_file(file));
  EXPECT_EQ(old["last"].dump(), R"({"epoch":1,"AP":20.0,"AP50":45.0,"AP75":-1.0})");
  old.erase("metrics");
  write_file(file, sealed(old).dump());
  for (int version = 0; version < 2; ++version) {
    const Summary read = read_summary(file);
    ASSERT_EQ(read.metrics.size(), 3u);
    EXPECT_EQ(read.metrics[0].word, "AP");
    EXPECT_EQ(read.last->value("AP75"), -1);
    write_summary(file, read);
  }
  old["metrics"] = {{"AP", 3}};
  write_file(file, sealed(old).dump());
  error_of(Fault::input, [&] { read_summary(file); });
}

TEST(RunRecord, BrokenSummaries) {
  TempFolder folder;
  constexpr size_t levels = 300'000;  // its library would print these by recursion
  const std::string lists = std::string(levels, '[') + std::string(levels, ']');
  for (const std::string& deep : {R"({"format": 2, "x": )" + lists + "}", R"({"status": )" + lists + "}"}) {
    write_file(folder / "summary.json", deep);
    expect_contains(error_of(Fault::input, [&] { read_summary(folder / "summary.json"); }), "nested deeper");
    write_file(folder / "env.json", deep);
    expect_contains(error_of(Fault::input, [&] { recorded_data_hash(folder / "env.json"); }),
                    "nested deeper");
  }
  // Ordered objects are lists: entries take the square of their number.
  std::string wide = "{\"a\": 0";
  for (int i = 0; i < 1000; ++i) wide += text(", \"", i, "\": [1, 2, \":\"]");
  write_file(folder / "summary.json", wide + "}");
  expect_contains(error_of(Fault::input, [&] { read_summary(folder / "summary.json"); }),
                  "more than 1000 entries");
  for (const char* broken : {"", "{", "[]", "{}", "{\"status\": 1}", "null"}) {
    write_file(folder / "summary.json", broken);
    expect_contains(error_of(Fault::input, [&] { read_summary(folder / "summary.json"); }), "summary.json");
  }
  error_of(Fault::input, [&] { read_summary(folder / "absent.json"); });
  error_of(Fault::write, [] { write_summary("/dev/full", Summary{}); });
}

}  // namespace
}  // namespace retort
