// A study given to Slurm: what the scripts say, and what they do where programs of Slurm's names run them at
// once.
#include "distill/study/submit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "distill/run/run_folder.h"
#include "engine/base/process.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

const std::string tiny = R"(
title = "tiny"
seeds = 2
[settings]
threads = 1
epochs = 1
batch = 32
data.spec = "synthetic:train=96,test=48"
[teacher]
model = "resnet8"
[student]
model = "resnet8"
[[methods]]
name = "ce"
[[methods]]
name = "kd"
label = "kd, it's plain"
)";

// Runs what it is given at once, task by task, and writes down what it was called with.
const char* const fake_sbatch = R"(#!/bin/sh
if [ "$1" = --version ]; then echo "slurm 0.0"; exit 0; fi
printf '%s\n' "$*" >>"$FAKE_SLURM/calls"
id=$(wc -l <"$FAKE_SLURM/calls")
if [ "$id" -gt "${FAKE_SLURM_TAKES:-99}" ]; then echo "sbatch: error: refused" >&2; exit 1; fi
ids=none
while :; do
  case $1 in
    --array=*) ids=${1#--array=} ids=${ids%%\%*} ;;
    -*) ;;
    *) break ;;
  esac
  shift
done
export SLURM_ARRAY_JOB_ID="$id"
echo "$id;cluster"
[ -z "$FAKE_SLURM_HOLDS" ] || exit 0
exec >>"$FAKE_SLURM/out" 2>&1
if [ "$ids" = none ]; then sh "$@"; exit 0; fi
for range in $(echo "$ids" | tr , ' '); do
  for SLURM_ARRAY_TASK_ID in $(seq "${range%-*}" "${range#*-}"); do
    export SLURM_ARRAY_TASK_ID
    sh "$@"
  done
done
exit 0
)";

const char* const fake_srun = R"(#!/bin/sh
[ -z "$FAKE_SRUN_STATUS" ] || exit "$FAKE_SRUN_STATUS"
shift
exec "$@"
)";

const char* const fake_scontrol = R"(#!/bin/sh
echo "scontrol $*" >>"$FAKE_SLURM/calls"
)";

class Submit : public ::testing::Test {
 protected:
  Submit() {
    work_.write("tiny.toml", tiny);
    for (const auto& [name, content] :
         {std::pair{"sbatch", fake_sbatch}, {"srun", fake_srun}, {"scontrol", fake_scontrol}}) {
      const std::filesystem::path program = work_.write(std::string("bin/") + name, content);
      std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    }
    set("FAKE_SLURM", work_.path());
    set("RETORT_CACHE", work_ / "cache");  // nothing in the user's
    set("PATH", (work_ / "bin").string() + ":" + path_);
  }
  ~Submit() override {
    ::setenv("PATH", path_.c_str(), 1);
    for (const char* name :
         {"RETORT_CACHE", "FAKE_SLURM", "FAKE_SLURM_HOLDS", "FAKE_SLURM_TAKES", "FAKE_SRUN_STATUS"})
      ::unsetenv(name);
  }

  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  Outcome submit(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"compare", "tiny.toml", "--out", "s", "--submit", "slurm"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, work_);
  }
  std::vector<std::string> calls() const {
    std::istringstream in(content_of(work_ / "calls"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  TempFolder work_;
  const std::string path_ = std::getenv("PATH");
};

std::string table(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  std::string all;
  std::istringstream in(outcome.out.substr(0, outcome.out.find("results:")));
  for (std::string line; std::getline(in, line);)  // but for the seconds
    all += (line.starts_with("resnet8") ? line.substr(0, line.rfind(' ')) : line) + "\n";
  return all;
}

TEST_F(Submit, GivesTheSameTableAsCompare) {
  const Outcome outcome =
      submit({"--sbatch", "--partition=main", "--sbatch", "--comment=two words", "--at-most", "2"});
  ASSERT_EQ(outcome.code, 0) << outcome.err << content_of(work_ / "out");
  expect_contains(outcome.out, "teachers: job 1, 1 task\nstudents: job 2, 4 tasks\ntables: job 3, 1 task\n");
  const std::vector<std::string> called = calls();
  ASSERT_EQ(called.size(), 3u);
  EXPECT_EQ(called[0], "--parsable --partition=main --comment=two words --array=0%2 task.sh 0");
  EXPECT_EQ(
      called[1],
      "--parsable --partition=main --comment=two words --dependency=afterany:1 --array=1-4%2 task.sh 0");
  EXPECT_EQ(called[2], "--parsable --partition=main --comment=two words --dependency=afterany:2 tables.sh");
  EXPECT_TRUE(RunFolder::is_run(work_ / "s/kd, it's plain/seed-2")) << content_of(work_ / "out");
  EXPECT_TRUE(std::filesystem::exists(work_ / "s/results.md"));

  const std::string collected = table(run({"compare", "tiny.toml", "--out", "s", "--collect"}, work_));
  const std::string plain = table(run({"compare", "tiny.toml", "--out", "plain"}, work_));
  const auto lines = [](const std::string& all) { return std::count(all.begin(), all.end(), '\n'); };
  EXPECT_EQ(lines(collected), lines(plain));
  const auto hashes = [&](const char* folder) {
    const json results = json::parse(content_of(work_ / folder / "results.json"));
    std::string all;
    for (const json& row : results["pairs"][0]["rows"])
      for (const json& one : row["runs"]) all += one["weights_hash"].get<std::string>() + "\n";
    return all;
  };
  EXPECT_EQ(hashes("s"), hashes("plain"));

  const Outcome again = submit();
  EXPECT_EQ(again.code, 0) << again.err;
  expect_contains(again.out, "nothing is missing");
  EXPECT_EQ(calls().size(), 3u);
}

TEST_F(Submit, OnlyWhatIsMissingIsSubmittedAgain) {
  set("FAKE_SLURM_HOLDS", "1");
  ASSERT_EQ(submit().code, 0);
  ASSERT_EQ(run({"compare", "tiny.toml", "--out", "s", "--task", "0"}, work_).code, 0);
  ASSERT_EQ(run({"compare", "tiny.toml", "--out", "s", "--task", "2"}, work_).code, 0);
  const Outcome outcome = submit({"--json", "--seeds", "3"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json jobs = json::parse(outcome.out)["jobs"];
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0]["name"], "students");
  EXPECT_EQ(jobs[0]["tasks"], 5);
  EXPECT_EQ(jobs[0]["job"], "4");
  EXPECT_EQ(calls()[3], "--parsable --array=1,3-6 task.sh 0");
  EXPECT_EQ(calls()[4], "--parsable --dependency=afterany:4 tables.sh");
  expect_contains(content_of(work_ / "s/queue/task.sh"), "--seeds 3");
}

TEST_F(Submit, WithDryRunTheScriptsAloneAreWritten) {
  const Outcome outcome = submit({"--dry-run", "--methods", "kd, it's plain", "--set", "optimizer.lr=0.01"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.out, "3 runs, 3 epochs: about ");
  expect_contains(outcome.out, "students: 2 tasks");
  expect_contains(outcome.out, "sh s/queue/submit.sh");
  EXPECT_FALSE(std::filesystem::exists(work_ / "calls"));
  EXPECT_FALSE(std::filesystem::exists(work_ / "s/teacher"));
  const std::string task = content_of(work_ / "s/queue/task.sh");
  for (const char* part : {"#SBATCH --requeue", "#SBATCH --signal=USR1@120", "--set optimizer.lr=0.01"})
    expect_contains(task, part);
  // By hand, from anywhere, they do the same.
  const ProcessResult result = run_process({"sh", (work_ / "s/queue/submit.sh").string()}, true, "the test");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "teachers 1 1\nstudents 2 2\ntables 3 1\n");
  EXPECT_TRUE(RunFolder::is_run(work_ / "s/kd, it's plain/seed-1")) << content_of(work_ / "out");
  EXPECT_FALSE(std::filesystem::exists(work_ / "s/ce"));
  expect_contains(content_of(work_ / "s/results.md"), "Left out by choice: method ce");
}

TEST_F(Submit, ATaskThatWasToldToStopGoesBackIntoTheQueue) {
  set("FAKE_SLURM_HOLDS", "1");
  ASSERT_EQ(submit().code, 0);
  const auto task = [&](const std::string& status, const std::string& restarts) {
    set("FAKE_SRUN_STATUS", status);
    return run_process(
               {"env", "SLURM_ARRAY_JOB_ID=7", "SLURM_ARRAY_TASK_ID=3", "SLURM_RESTART_COUNT=" + restarts,
                "sh", (work_ / "s/queue/task.sh").string(), "1000"},
               true, "the test")
        .status;
  };
  EXPECT_EQ(task("138", "0"), 138);
  EXPECT_EQ(calls().back(), "scontrol requeue 7_3");
  const size_t before = calls().size();
  EXPECT_EQ(task("138", "50"), 138);
  EXPECT_EQ(task("5", "0"), 5);
  EXPECT_EQ(calls().size(), before);
  ::unsetenv("FAKE_SRUN_STATUS");
  EXPECT_EQ(task("", "0"), 2) << "there is no run 1003";
}

TEST_F(Submit, WhatSbatchRefusesIsSaid) {
  set("FAKE_SLURM_HOLDS", "1");
  set("FAKE_SLURM_TAKES", "1");
  const Outcome refused = submit();
  EXPECT_EQ(refused.code, 2);
  expect_contains(refused.err, "sbatch: error: refused");
  expect_contains(refused.err, "after 1 of 3 were submitted");
  EXPECT_EQ(refused.out, "");
  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {"--force"}, {"--task", "1"}, {"--collect"}, {"--parallel", "2"}}) {
    EXPECT_EQ(submit(wrong).code, 2) << wrong[0];
  }
  expect_contains(failure(2, {"compare", "tiny.toml", "--submit", "pbs"}, work_), "expected slurm");
  expect_contains(failure(2, {"compare", "tiny.toml", "--sbatch", "-n8"}, work_), "--submit slurm");
  std::filesystem::remove(work_ / "bin/sbatch");
  set("PATH", (work_ / "bin").string());
  expect_contains(failure(3, {"compare", "tiny.toml", "--out", "s", "--submit", "slurm"}, work_), "sbatch");
}

// Of more tasks than an array may have.
TEST_F(Submit, ALargeStudyIsSeveralArrays) {
  Study study = read_study(work_ / "tiny.toml", {.seeds = 600, .sets = {}});
  const StudyPlan plan = plan_of(study, work_ / "large");
  const std::vector<SubmittedJob> jobs = write_scripts(plan, work_ / "large", {.command = {"retort"}, .choice = {}, .sbatch = {}});
  ASSERT_EQ(jobs.size(), 4u);
  EXPECT_EQ(jobs[1].name, "students-1");
  EXPECT_EQ(jobs[1].tasks, 999);
  EXPECT_EQ(jobs[2].name, "students-2");
  EXPECT_EQ(jobs[2].tasks, 201);
  const std::string script = content_of(submit_script(work_ / "large"));
  expect_contains(script, "--array=1-999 task.sh 0");
  expect_contains(script, "--array=0-200 task.sh 1000");
}

}  // namespace
}  // namespace retort
