// A run that is killed or stopped goes on to the same weights as one that never was, whatever the number of
// threads.
#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/runs.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

// 7 steps an epoch, the last one smaller; a checkpoint after every step.
std::vector<std::string> training(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> all = {"train",    "--model", "resnet8", "--data", "synthetic:train=104,test=24",
                                  "--epochs", "4",       "--batch", "16",     "--out",
                                  out,        "--json"};
  return all + more;
}
const std::vector<std::string> every_step = {"--set", "checkpoint_minutes=0"};

// What a run that nothing interrupts ends at, with one thread.
const std::string& undisturbed() {
  static const TempFolder folder;
  static const std::string hash = hash_of(run(training("a", {"--threads", "1", "--workers", "0"}), folder));
  return hash;
}

// Whether the last checkpoint stands inside an epoch after the first.
bool inside_later_epoch(const TempFolder& work) {
  const std::filesystem::path file = RunFolder::last_of(work / "a");
  if (!std::filesystem::exists(file)) return false;
  const json counters = json::parse(read_safetensors(file).metadata.at("counters"));
  return counters["epoch"] > 1 && counters["batch"] > 0;
}

TEST(Resume, ThreadsAndWorkersDoNotChangeTheWeights) {
  TempFolder work;
  EXPECT_EQ(hash_of(run(training("a", {"--threads", "2", "--workers", "3"}), work)), undisturbed());
}

// wkd-l's matrix of classes was all zeros in the checkpoint of a run that was stopped before its first step,
// and what went on from it trained another loss without a word.
TEST(Resume, WhatAMethodReadsOnceIsInTheFirstCheckpoint) {
  TempFolder work;
  const std::string data = "synthetic:train=104,test=24";
  ASSERT_EQ(run({"train", "--model", "resnet8", "--data", data, "--epochs", "1", "--out", "t"}, work).code,
            0);
  RunSettings settings = default_settings("distill");
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, std::string>>{{"model", "resnet8"},
                                                                  {"teacher", (work / "t").string()},
                                                                  {"method.name", "wkd-l"},
                                                                  {"data.spec", data},
                                                                  {"epochs", "2"},
                                                                  {"batch", "16"},
                                                                  {"threads", "1"}})
    set_key(settings, key, value);
  Progress progress(2, true);
  const std::vector<std::string> command = {"retort"};
  const auto ended = [&](bool signalled, const std::function<Summary(Session&)>& task) {
    StopSignal stop;
    Session session(progress, stop, command);
    if (signalled) ::raise(SIGTERM);
    return task(session);
  };
  const Summary whole = ended(false, [&](Session& s) { return start_run(settings, work / "a", false, s); });
  const Summary stopped = ended(true, [&](Session& s) { return start_run(settings, work / "b", false, s); });
  EXPECT_EQ(stopped.status, "stopped");
  const Summary resumed = ended(false, [&](Session& s) { return resume_run(work / "b", {}, s); });
  EXPECT_EQ(resumed.status, "finished");
  EXPECT_EQ(resumed.weights_hash, whole.weights_hash);
}

TEST(Resume, AfterAKillInsideAnEpoch) {
  TempFolder work;
  std::vector<std::string> next = training("a", every_step);
  do {  // again if the epoch ended between looking and killing
    Program program(next, work.path());
    ASSERT_TRUE(program.wait_until([&] { return inside_later_epoch(work); })) << program.err_so_far();
    program.signal(SIGKILL);
    EXPECT_EQ(program.wait().code, 128 + SIGKILL);
    next = {"train", "--resume", "a", "--json", "--threads", "2", "--workers", "0"};
  } while (!inside_later_epoch(work));
  const Outcome resumed = run(next, work);
  EXPECT_EQ(hash_of(resumed), undisturbed());
  expect_contains(resumed.err, "resuming at epoch ");
  const std::string metrics = content_of(work / "a/metrics.csv");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 5) << metrics;
}

TEST(Resume, AfterAKillAtAnyMoment) {
  TempFolder work;
  std::vector<std::string> next = training("a", every_step);
  // Longer each time, so that some die before the first checkpoint and the last ones get somewhere.
  for (const int milliseconds : {20, 150, 400, 700}) {
    Program program(next, work.path());
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    program.signal(SIGKILL);
    program.wait();
    if (RunFolder::is_run(work / "a")) {
      next = {"train", "--resume", "a", "--json"};
    } else {
      std::filesystem::remove_all(work / "a");
    }
  }
  EXPECT_EQ(hash_of(run(next, work)), undisturbed());
}

// What a method learns and remembers goes on too: crd's memories and layers, reviewkd's batch norms;
// and the second views of mlkd are the same.
TEST(Resume, AMethodsOwnStateAfterAKillInsideAnEpoch) {
  TempFolder work;
  ASSERT_EQ(run({"train", "--model", "resnet8", "--data", "synthetic:train=32,test=8", "--epochs", "1",
                 "--out", "teacher"},
                work)
                .code,
            0);
  for (const std::string method : {"crd", "reviewkd", "mlkd"}) {
    const auto distilling = [&](const std::string& out) {
      std::vector<std::string> all = {"distill",   "--teacher", "teacher",
                                      "--student", "resnet8",   "--method",
                                      method,      "--data",    "synthetic:train=56,test=8",
                                      "--epochs",  "3",         "--batch",
                                      "8",         "--out",     out,
                                      "--json"};
      if (method == "mlkd") all.insert(all.end(), {"--set", "method.views=2"});
      if (method == "crd") all.insert(all.end(), {"--set", "method.negatives=20"});
      return all;
    };
    const std::string undisturbed_hash = hash_of(run(distilling("b-" + method), work));
    const std::string folder = "a-" + method;
    std::vector<std::string> next = distilling(folder);
    next.insert(next.end(), every_step.begin(), every_step.end());
    const auto inside = [&] {
      const std::filesystem::path file = RunFolder::last_of(work / folder);
      if (!std::filesystem::exists(file)) return false;
      const json counters = json::parse(read_safetensors(file).metadata.at("counters"));
      return counters["epoch"] > 1 && counters["batch"] > 0;
    };
    do {
      Program program(next, work.path());
      ASSERT_TRUE(program.wait_until(inside)) << program.err_so_far();
      program.signal(SIGKILL);
      program.wait();
      next = {"distill", "--resume", folder, "--json", "--threads", "1"};
    } while (!inside());
    EXPECT_EQ(hash_of(run(next, work)), undisturbed_hash) << method;
  }
}

TEST(Resume, AStopSavesAndExitsWithItsSignal) {
  TempFolder work;
  std::vector<std::string> next = training("a");
  for (const int signal : {SIGTERM, SIGINT}) {
    Program program(next, work.path());
    // An epoch's line on stderr: training is under way.
    ASSERT_TRUE(program.wait_until([&] { return program.err_so_far().find("  lr ") != std::string::npos; }))
        << program.err_so_far();
    program.signal(signal);
    const Outcome stopped = program.wait();
    EXPECT_EQ(stopped.code, 128 + signal) << stopped.err;
    EXPECT_EQ(stopped.out, "");
    expect_contains(stopped.err, "--resume a` goes on");
    EXPECT_TRUE(std::filesystem::exists(RunFolder::last_of(work / "a")));
    EXPECT_EQ(json::parse(content_of(work / "a/summary.json"))["status"], "stopped");
    next = {"train", "--resume", "a", "--json"};
  }
  EXPECT_EQ(hash_of(run(next, work)), undisturbed());
}

TEST(Resume, FromTheCheckpointBeforeIfTheLastOneIsDamaged) {
  TempFolder work;
  {
    Program program(training("a", every_step), work.path());
    ASSERT_TRUE(program.wait_until([&] { return inside_later_epoch(work); })) << program.err_so_far();
    program.signal(SIGKILL);
    program.wait();
  }
  const std::string last = RunFolder::last_of(work / "a").string();
  std::string damaged = content_of(last);
  damaged[damaged.size() / 2] = char(damaged[damaged.size() / 2] ^ 4);
  std::ofstream(last, std::ios::binary) << damaged;
  const Outcome resumed = run({"train", "--resume", "a", "--json"}, work);
  expect_contains(resumed.err, "going on from the checkpoint before it");
  EXPECT_EQ(hash_of(resumed), undisturbed());
}

TEST(Resume, ASecondProcessInTheFolderIsRefused) {
  TempFolder work;
  Program program(training("a"), work.path());
  ASSERT_TRUE(program.wait_until([&] { return RunFolder::is_run(work / "a"); })) << program.err_so_far();
  expect_contains(failure(2, {"train", "--resume", "a"}, work), "is running in this folder");
  expect_contains(failure(2, training("a", {"--force"}), work), "is running in this folder");
  EXPECT_EQ(hash_of(program.wait()), undisturbed());
}

}  // namespace
}  // namespace retort
