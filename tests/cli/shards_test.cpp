// Runs whose batches are computed in parts: what they record, that they go on to the same bits, what they
// refuse.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_folder.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

std::vector<std::string> training(const std::string& out, const std::vector<std::string>& more,
                                  const std::string& train = "train=106") {
  std::vector<std::string> all = {"train",
                                  "--model",
                                  "resnet8",
                                  "--data",
                                  "synthetic:" + train + ",test=48",
                                  "--epochs",
                                  "2",
                                  "--batch",
                                  "16",
                                  "--out",
                                  out,
                                  "--json",
                                  "--set",
                                  "checkpoint_minutes=0"};
  return all + more;
}

TEST(ShardedRun, OnePartIsWhatNobodyAsksFor) {
  const TempFolder work;
  const std::string plain = hash_of(run(training("plain", {}), work));
  expect_contains(content_of(work / "plain/config.toml"), "shards = 1");
  EXPECT_EQ(hash_of(run(training("one", {"--set", "shards=1"}), work)), plain);
  EXPECT_NE(hash_of(run(training("two", {"--set", "shards=2"}), work)), plain);
  expect_contains(content_of(work / "two/config.toml"), "shards = 2");
}

TEST(ShardedRun, GoesOnToTheSameBits) {
  const TempFolder work;
  const std::string whole = hash_of(run(training("whole", {"--set", "shards=4"}), work));
  EXPECT_EQ(hash_of(run(training("threads", {"--set", "shards=4", "--threads", "1"}), work)), whole);
  std::vector<std::string> next = training("a", {"--set", "shards=4"});
  const auto inside = [&] {
    const std::filesystem::path file = RunFolder::last_of(work / "a");
    if (!std::filesystem::exists(file)) return false;
    const json counters = json::parse(read_safetensors(file).metadata.at("counters"));
    return counters["epoch"] > 1 && counters["batch"] > 0;
  };
  do {
    Program program(next, work.path());
    ASSERT_TRUE(program.wait_until(inside)) << program.err_so_far();
    program.signal(SIGKILL);
    program.wait();
    next = {"train", "--resume", "a", "--json"};
  } while (!inside());
  EXPECT_EQ(hash_of(run(next, work)), whole);
  EXPECT_EQ(content_of(work / "a/metrics.csv").substr(0, 40),
            content_of(work / "whole/metrics.csv").substr(0, 40));
  const EpochMetrics a = read_metrics(work / "a/metrics.csv").rows.back(),
                     b = read_metrics(work / "whole/metrics.csv").rows.back();
  EXPECT_EQ(a.train_loss, b.train_loss);
  EXPECT_EQ(a.trained, b.trained);
  EXPECT_EQ(value_of(a.tested, "loss"), value_of(b.tested, "loss"));
}

TEST(ShardedRun, LossesThatRelateImagesSaySo) {
  const TempFolder work;
  hash_of(run(training("teacher", {}), work));
  const auto distil = [&](const std::string& method, const std::string& shards) {
    return std::vector<std::string>{"distill",   "--teacher", "teacher",
                                    "--student", "resnet8",   "--method",
                                    method,      "--data",    "synthetic:train=106,test=48",
                                    "--epochs",  "1",         "--batch",
                                    "16",        "--out",     method,
                                    "--json",    "--set",     "shards=" + shards};
  };
  hash_of(run(distil("dist", "2"), work));
  expect_contains(content_of(work / "dist/log.txt"), "the loss of dist relates the images of a batch");
  hash_of(run(distil("kd", "2"), work));
  EXPECT_EQ(content_of(work / "kd/log.txt").find("relates"), std::string::npos);
  expect_contains(failure(2, distil("crd", "2"), work), "crd moves its memory");
  EXPECT_FALSE(std::filesystem::exists(work / "crd"));
}

TEST(ShardedRun, RefusesWhatCannotBeCut) {
  const TempFolder work;
  expect_contains(failure(2, training("a", {"--set", "shards=17"}), work), "a batch has 16 images");
  expect_contains(failure(2, training("a", {"--set", "shards=-1"}), work), "shards");
  expect_contains(failure(2,
                          {"train", "--model", "wrn_16_1", "--set", "double_batch_norm=true", "--set",
                           "shards=2", "--data", "synthetic:train=106,test=48", "--out", "a"},
                          work),
                  "double_batch_norm");
  EXPECT_FALSE(std::filesystem::exists(work / "a"));
}

}  // namespace
}  // namespace retort
