// Detectors from the command line: trained, distilled, resumed, scored, shown.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "datasets/formats/image_file.h"
#include "distill/run/metrics_csv.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::content_of;
using testing::expect_contains;
using testing::failure;
using testing::json_of;
using testing::operator+;
using testing::Outcome;
using testing::Program;
using testing::run;
using testing::Strings;
using testing::TempFolder;

const std::string pictures = "scenes:train=20,test=6";

Strings training(const std::string& out, const Strings& more = {}) {
  return Strings{"train",    "--model", "rcnn_tiny", "--data", pictures,
                 "--epochs", "2",       "--out",     out,      "--json"} +
         more;
}

Strings distilling(const std::string& method, const std::string& out) {
  return {"distill",  "--student", "rcnn_tiny", "--teacher", "t",     "--data", pictures,
          "--epochs", "1",         "--method",  method,      "--out", out,      "--json"};
}

TEST(DetectionCli, ARunLeavesItsMetricsUnderTheirNames) {
  TempFolder work;
  const json result = json_of(run(training("t", {"--threads", "1"}), work));
  EXPECT_TRUE(result["metrics"].contains("AP50")) << result.dump();
  EXPECT_EQ(result["metrics"]["AP"]["unit"], "%");
  const std::string csv = content_of(work / "t/metrics.csv");
  EXPECT_TRUE(csv.starts_with("epoch,lr,train_loss,AP,AP50,AP75,seconds,rpn_cls,rpn_box,cls,box\n")) << csv;
  const MetricsTable table = read_metrics(work / "t/metrics.csv");
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[1].first().metric.name, "AP");
  EXPECT_GT(table.rows[1].train_loss, 0);
  const json summary = json::parse(content_of(work / "t/summary.json"));
  EXPECT_TRUE(summary["last"].contains("AP75")) << summary.dump();
  EXPECT_EQ(summary["status"], "finished");

  const json scores = json_of(run({"eval", "--weights", "t", "--json"}, work));
  EXPECT_EQ(scores["n"], 6);
  EXPECT_EQ(scores["classes"].size(), 24u);
  EXPECT_NEAR(100 * scores["AP"].get<double>(), summary["last"]["AP"].get<double>(), 1e-9);
  EXPECT_NEAR(100 * scores["AP50"].get<double>(), summary["last"]["AP50"].get<double>(), 1e-9);

  // The same numbers by way of COCO's files.
  EXPECT_EQ(run({"data", "export", pictures, "coco"}, work).code, 0);
  EXPECT_EQ(run({"predict", "--weights", "t", "--data", "coco:coco", "--results", "r.json"}, work).code, 0);
  const json again =
      json_of(run({"coco-eval", "coco/annotations/instances_val2017.json", "r.json", "--json"}, work));
  EXPECT_NEAR(again["AP"].get<double>(), scores["AP"].get<double>(), 1e-9);
}

TEST(DetectionCli, ResumedAndWithOtherThreadsTheSameBits) {
  TempFolder work;
  const std::string hash =
      json_of(run(training("a", {"--threads", "1", "--workers", "0"}), work))["weights_hash"];
  EXPECT_EQ(json_of(run(training("b", {"--threads", "2", "--workers", "2"}), work))["weights_hash"], hash);
  {
    const Program killed(training("c", {"--set", "checkpoint_minutes=0"}), work.path());
    ASSERT_TRUE(
        killed.wait_until([&] { return std::filesystem::exists(work / "c/checkpoints/last.safetensors"); }));
  }  // killed
  EXPECT_EQ(json_of(run({"train", "--resume", "c", "--json"}, work))["weights_hash"], hash);
}

// Tested after every 4 steps, where a pass over the pictures has 3: the batches of one run, cut otherwise.
TEST(DetectionCli, CountsStepsAcrossPassesToTheSameBits) {
  TempFolder work;
  // A warm-up that nobody sets is scaled by epochs in one, by steps in the other.
  const Strings constant = {"--set", "schedule.milestones=[]", "--set", "schedule.warmup_steps=200"};
  const std::string hash =
      json_of(run(training("a", constant + Strings{"--epochs", "4"}), work))["weights_hash"];
  const Strings steps =
      constant +
      Strings{"--steps", "12", "--set", "schedule.evaluate_every=4", "--set", "checkpoint_minutes=0"};
  EXPECT_EQ(json_of(run(training("b", steps), work))["weights_hash"], hash);
  const MetricsTable table = read_metrics(work / "b/metrics.csv");
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_GT(table.rows[2].train_loss, 0);
  {
    const Program killed(training("c", steps), work.path());
    ASSERT_TRUE(
        killed.wait_until([&] { return std::filesystem::exists(work / "c/checkpoints/last.safetensors"); }));
  }
  EXPECT_EQ(json_of(run({"train", "--resume", "c", "--json"}, work))["weights_hash"], hash);
  expect_contains(failure(2, {"train", "--resume", "c", "--epochs", "9"}, work), "counts steps");
}

TEST(DetectionCli, TermsOfAMethodRiseOverSteps) {
  TempFolder work;
  json_of(run(training("t"), work));
  // One epoch of 3 steps: the weights are 1/6, 2/6, 3/6 and the detector hardly moves in its warm-up.
  const auto term = [&](const std::string& out, const Strings& more) {
    json_of(run(distilling("kd", out) + Strings{"--set", "schedule.warmup_steps=200"} + more, work));
    return read_metrics(work / out / "metrics.csv").rows.at(0).terms.back();
  };
  const double whole = term("whole", {}), rising = term("rising", {"--set", "method.warmup=6"});
  EXPECT_GT(rising, whole * 1.0 / 6);
  EXPECT_LT(rising, whole * 0.5);
}

// The teacher's head and the proposals that it judges are those of the run that was not killed.
TEST(DetectionCli, ADistillationThatIsResumedHasTheSameBits) {
  TempFolder work;
  json_of(run(training("t"), work));
  const auto pcd = [](const std::string& out, const Strings& more) {
    return Strings{"distill",  "--student", "rcnn_tiny", "--teacher", "t",     "--data", pictures,
                   "--epochs", "2",         "--method",  "pcd",       "--out", out,      "--json"} +
           more;
  };
  const std::string hash = json_of(run(pcd("a", {"--threads", "1", "--workers", "0"}), work))["weights_hash"];
  {
    const Program killed(pcd("b", {"--set", "checkpoint_minutes=0"}), work.path());
    ASSERT_TRUE(
        killed.wait_until([&] { return std::filesystem::exists(work / "b/checkpoints/last.safetensors"); }));
  }  // killed
  EXPECT_EQ(json_of(run({"distill", "--resume", "b", "--json"}, work))["weights_hash"], hash);
}

TEST(DetectionCli, DistilsWithWhatComparesLogits) {
  TempFolder work;
  json_of(run(training("t"), work));
  const Outcome pcd = run(distilling("pcd", "pcd"), work);
  json_of(pcd);
  expect_contains(pcd.err, "teacher rcnn_tiny (t): AP ");
  EXPECT_NE(content_of(work / "pcd/metrics.csv").find(",box,pcd\n"), std::string::npos);
  expect_contains(content_of(work / "pcd/config.toml"), "temperature = 1");
  for (const char* method : {"fitnet", "mlkd", "crd"})
    expect_contains(failure(2, distilling(method, "x"), work),
                    text("method ", method, " cannot distil detectors"));
  expect_contains(failure(2, distilling("reviewkd", "x") + Strings{"--set", "method.positives=true"}, work),
                  "compares feature pyramids, not boxes");
  json_of(run(distilling("reviewkd", "review"), work));
  EXPECT_NE(content_of(work / "review/metrics.csv").find(",box,review\n"), std::string::npos);
  expect_contains(content_of(work / "review/config.toml"), "width = 256");
  expect_contains(failure(2, distilling("kd", "x") + Strings{"--teacher-source", "table"}, work), "use live");
  expect_contains(failure(2, distilling("dkd", "x") + Strings{"--set", "method.background=false"}, work),
                  "boxes.positives");
  json_of(run(distilling("dkd", "objects") +
                  Strings{"--set", "method.background=false", "--set", "method.positives=true"},
              work));
}

TEST(DetectionCli, ShowsWhatItFinds) {
  TempFolder work;
  json_of(run(training("t"), work));
  EXPECT_EQ(run({"data", "export", "scenes:train=1,test=2", "coco"}, work).code, 0);
  const Outcome shown = run({"predict", "--weights", "t", "--score", "0", "--draw", "drawn", "--results",
                             "r.json", "coco/val2017/000001.png", "coco/val2017/000002.png"},
                            work);
  EXPECT_EQ(shown.code, 0) << shown.err;
  expect_contains(shown.out, "coco/val2017/000002.png: ");
  const Image drawn = read_image(work / "drawn/000001.png");
  EXPECT_EQ(drawn.height, 640);
  const json results = json::parse(content_of(work / "r.json"));
  for (const json& one : results) {
    EXPECT_GE(one["image_id"], 1);
    EXPECT_LE(one["image_id"], 2);
    EXPECT_TRUE(one.contains("file_name"));
  }
}

TEST(DetectionCli, WhatDoesNotFitIsRefused) {
  TempFolder work;
  expect_contains(failure(2, {"train", "--model", "rcnn_tiny", "--data", "synthetic"}, work),
                  "synthetic has none");
  expect_contains(failure(2, {"train", "--model", "resnet8", "--data", "scenes"}, work), "is a set of boxes");
  json_of(run(training("t"), work));
  expect_contains(failure(2, {"export", "t", "--to", "onnx", "-o", "x.onnx"}, work),
                  "not for detection networks");
  expect_contains(failure(2, {"eval", "--weights", "t", "--data", "synthetic"}, work), "has none");
}

// Pictures of another size than it was trained with are another test.
TEST(DetectionCli, LooksAtPicturesAsItWasTrained) {
  TempFolder work;
  json_of(run(training("t", {"--set", "data.size=64"}), work));
  const json last = json::parse(content_of(work / "t/summary.json"))["last"];
  const auto boxes = [&](const Strings& more) {
    json_of(run(
        Strings{"predict", "--data", pictures, "--score", "0", "--results", "r.json", "--json", "--weights"} +
            more,
        work));
    return content_of(work / "r.json");
  };
  const std::string trained = boxes({"t", "--size", "64"});
  std::filesystem::copy(work / "t/checkpoints/last.safetensors", work / "copy.safetensors");
  testing::succeed({"import", "copy.safetensors", "--out", "imported.safetensors"}, work);
  for (const char* weights : {"t", "copy.safetensors", "imported.safetensors"}) {
    SCOPED_TRACE(weights);
    const json scores = json_of(run({"eval", "--weights", weights, "--data", pictures, "--json"}, work));
    EXPECT_NEAR(100 * scores["AP50"].get<double>(), last["AP50"].get<double>(), 1e-9);
    EXPECT_EQ(boxes({weights}), trained);
    EXPECT_NE(boxes({weights, "--size", "96"}), trained);
    EXPECT_EQ(boxes({weights, "--set", "data.size=96"}), boxes({weights, "--size", "96"}));
  }
}

// An imported file knows what the weights knew: all but where their run stood.
TEST(DetectionCli, ImportKeepsWhatWeightsKnow) {
  TempFolder work;
  json_of(run(training("t", {"--set", "data.size=64"}), work));
  const std::string last = "t/checkpoints/last.safetensors";
  auto known = read_safetensors_metadata(work / last);
  for (const char* of_run :
       {"counters", "run_format", "settings_hash", "data_hash", "teacher_hash", "weights_hash", "metrics"})
    EXPECT_EQ(known.erase(of_run), 1u) << of_run;
  ASSERT_EQ(json::parse(known["class_names"]).size(), 24u);
  known["category_ids"] = "[2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,90]";
  const SafeTensors weights = read_safetensors(work / last);
  std::vector<TensorView> views;
  for (const HostTensor& t : weights.tensors) views.push_back(t.view());
  write_safetensors(work / "copy.safetensors", known, views);
  testing::succeed({"import", "copy.safetensors", "--out", "imported.safetensors"}, work);
  EXPECT_EQ(read_safetensors_metadata(work / "imported.safetensors"), known);
}

}  // namespace
}  // namespace retort
