// Nesterov's momentum, cosine, warm-up, smoothed labels and averaged weights in whole runs: they change the
// run, go on to the same bits, and what is averaged is what is tested, kept and read.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

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

std::vector<std::string> training(const std::string& out, const std::vector<std::string>& sets) {
  std::vector<std::string> all = {"train",
                                  "--model",
                                  "resnet8",
                                  "--data",
                                  "synthetic:train=104,test=48",
                                  "--epochs",
                                  "3",
                                  "--batch",
                                  "16",
                                  "--out",
                                  out,
                                  "--json",
                                  "--set",
                                  "checkpoint_minutes=0"};
  for (const std::string& set : sets) {
    all.push_back("--set");
    all.push_back(set);
  }
  return all;
}

const std::vector<std::string> all_options = {"optimizer.nesterov=true", "schedule.kind=cosine",
                                              "schedule.warmup_steps=5", "loss.label_smoothing=0.1",
                                              "ema.decay=0.9"};

TEST(TrainingOptions, EachChangesTheRunAndIsOffByDefault) {
  const TempFolder work;
  std::set<std::string> hashes = {hash_of(run(training("plain", {}), work))};
  EXPECT_EQ(
      *hashes.begin(),
      hash_of(run(training("same", {"optimizer.nesterov=false", "schedule.kind=multistep",
                                    "schedule.warmup_steps=0", "loss.label_smoothing=0", "ema.decay=0"}),
                  work)));
  for (const std::string& option : all_options) {
    const std::string folder = option.substr(0, option.find('='));
    hashes.insert(hash_of(run(training(folder, {option}), work)));
    expect_contains(content_of(work / (folder + "/config.toml")), folder.substr(folder.find('.') + 1));
  }
  EXPECT_EQ(hashes.size(), all_options.size() + 1);
}

TEST(TrainingOptions, GoOnToTheSameBits) {
  const TempFolder work;
  const std::string whole = hash_of(run(training("whole", all_options), work));
  std::vector<std::string> next = training("a", all_options);
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
    next = {"train", "--resume", "a", "--json", "--threads", "2"};
  } while (!inside());
  EXPECT_EQ(hash_of(run(next, work)), whole);
  EXPECT_EQ(value_of(read_metrics(work / "a/metrics.csv").rows.back().tested, "loss"),
            value_of(read_metrics(work / "whole/metrics.csv").rows.back().tested, "loss"));
}

TEST(TrainingOptions, TheAverageIsWhatIsTestedAndRead) {
  const TempFolder work;
  ASSERT_EQ(run(training("a", {"ema.decay=0.9"}), work).code, 0);
  const std::vector<EpochMetrics> rows = read_metrics(work / "a/metrics.csv").rows;
  const Outcome last = run({"eval", "--weights", "a", "--json"}, work);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_NEAR(json::parse(last.out)["loss"].get<double>(), value_of(rows.back().tested, "loss"), 1e-5);
  // What was trained lies beside it, and is something else.
  const SafeTensors file = read_safetensors(RunFolder::last_of(work / "a"));
  const HostTensor *average = file.find("fc.weight"), *trained = file.find("optimizer.other.fc.weight");
  ASSERT_TRUE(average && trained);
  EXPECT_NE(average->data, trained->data);
}

TEST(TrainingOptions, RefusesWhatDoesNotGoTogether) {
  const TempFolder work;
  expect_contains(failure(2, training("a", {"optimizer.nesterov=true", "optimizer.momentum=0"}), work),
                  "momentum is 0");
  expect_contains(failure(2, training("a", {"schedule.kind=cosine", "schedule.milestones=[2]"}), work),
                  "schedule.milestones are 2");
  expect_contains(failure(2, training("a", {"schedule.kind=step"}), work), "multistep");
  expect_contains(failure(2, training("a", {"ema.decay=1"}), work), "less than 1");
  expect_contains(failure(2, training("a", {"loss.label_smoothing=1"}), work), "less than 1");
  EXPECT_FALSE(std::filesystem::exists(work / "a"));
}

// The rates of metrics.csv are those of each epoch's last step.
TEST(TrainingOptions, RatesAreWritten) {
  const TempFolder work;
  ASSERT_EQ(run(training("a", {"schedule.kind=cosine", "optimizer.lr=0.1"}), work).code, 0);
  const std::vector<EpochMetrics> rows = read_metrics(work / "a/metrics.csv").rows;
  ASSERT_EQ(rows.size(), 3u);
  for (size_t e = 0; e < 3; ++e)
    EXPECT_NEAR(rows[e].lr, 0.05 * (1 + std::cos(3.14159265358979 * double(7 * e + 6) / 21)), 1e-9);
}

}  // namespace
}  // namespace retort
