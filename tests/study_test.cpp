// Studies: what their files may say, and `retort compare` from outside.
#include "distill/study.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "distill/run_folder.h"
#include "tests/expect_error.h"
#include "tests/program.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::content_of;
using testing::error_of;
using testing::expect_contains;
using testing::expect_fault;
using testing::failure;
using testing::Outcome;
using testing::Program;
using testing::run;
using testing::TempFolder;

const std::string tiny = R"(
title = "tiny"
[settings]
epochs = 2
batch = 32
data.spec = "synthetic:train=96,test=48"
[teacher]
model = "resnet8"
[student]
model = "resnet8"
optimizer.lr = 0.02
[[methods]]
name = "ce"
[[methods]]
name = "kd"
label = "plain"
temperature = 2
)";

std::string refusal(const std::string& toml) {
  TempFolder folder;
  return error_of(Fault::usage, [&] { read_study(folder.write("study.toml", toml)); });
}

TEST(Study, Reads) {
  TempFolder folder;
  const Study study = read_study(folder.write("study.toml", "seeds = 3\n" + tiny));
  EXPECT_EQ(study.title, "tiny");
  EXPECT_EQ(study.seeds, 3);
  EXPECT_EQ(study.teacher.model, "resnet8");
  EXPECT_EQ(study.teacher.epochs, 2);
  EXPECT_EQ(study.teacher.optimizer.lr, 0.05);
  ASSERT_EQ(study.methods.size(), 2u);
  EXPECT_EQ(study.methods[0].label, "ce");
  EXPECT_EQ(study.methods[0].settings.command, "train");
  EXPECT_EQ(study.methods[1].label, "plain");
  EXPECT_EQ(study.methods[1].settings.command, "distill");
  EXPECT_EQ(study.methods[1].settings.method.number("temperature"), 2);
  EXPECT_EQ(study.methods[1].settings.optimizer.lr, 0.02);
}

TEST(Study, TheOnesThatComeWithTheProgramLoad) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(RETORT_RECIPES "/studies")) {
    EXPECT_NO_THROW(read_study(entry.path())) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 1);
}

TEST(Study, RefusesWhatItDoesNotKnow) {
  const std::string methods = "[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"ce\"\n";
  expect_contains(refusal("seed = 3\n" + methods), "did you mean 'seeds'?");
  expect_contains(refusal("seeds = 0\n" + methods), "study.toml:1: seeds");
  expect_contains(refusal("seeds = \"3\"\n" + methods), "study.toml:1: seeds");
  expect_contains(refusal("teacher = 3\n" + methods), "expected a table");
  expect_contains(refusal("[settings]\nepoch = 3\n" + methods), "study.toml:2: unknown key 'epoch'");
  expect_contains(refusal("[student]\nmodel = \"resnet8\"\n"), "no methods");
  expect_contains(refusal("[[methods]]\nname = \"ce\"\n"), "no student is named");
  expect_contains(refusal(methods + "[[methods]]\nname = \"ce\"\n"), "stands twice");
  expect_contains(refusal(methods + "[[methods]]\nname = \"kd\"\nlabel = \"a/b\"\n"), "cannot name a folder");
  expect_contains(refusal(methods + "[[methods]]\nname = \"kd\"\nlabel = \"teacher\"\n"),
                  "cannot name a folder");
  expect_contains(refusal(methods + "[[methods]]\nname = \"kd\"\nstages = 3\n"),
                  "study.toml:7: method kd has no key");
}

TEST(Compare, OneTableAndWhereEverythingIs) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  const Outcome outcome = run({"compare", "tiny.toml", "--out", "s"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part :
       {"teacher resnet8", "resnet8 alone", "resnet8 plain", "seconds", "s/curves.svg", "s/results.md"})
    expect_contains(outcome.out, part);
  expect_contains(content_of(work / "s/curves.svg"), "</svg>");
  expect_contains(content_of(work / "s/results.md"), "| resnet8 plain |");
  const json result = json::parse(content_of(work / "s/results.json"));
  ASSERT_EQ(result["rows"].size(), 2u);
  EXPECT_EQ(result["rows"][1]["runs"][0]["status"], "finished");
  EXPECT_EQ(result["rows"][1]["method"], "kd");

  // What is finished is not repeated, and another spelling of the folder is the same folder.
  expect_contains(failure(2, {"compare", "tiny.toml", "--out", "s"}, work), "--resume");
  const auto before = std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1"));
  const Outcome again = run({"compare", "tiny.toml", "--out", "./s", "--resume", "--json"}, work);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(json::parse(again.out), result);
  EXPECT_EQ(std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1")), before);

  // More seeds are more runs of the same study.
  const Outcome seeds = run({"compare", "tiny.toml", "--out", "s", "--resume", "--seeds", "2"}, work);
  ASSERT_EQ(seeds.code, 0) << seeds.err;
  expect_contains(seeds.out, "±");
  EXPECT_EQ(std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1")), before);
  EXPECT_TRUE(RunFolder::is_run(work / "s/plain/seed-2"));

  // A study that was changed is not continued as if it had not been.
  std::string changed = tiny;
  changed.replace(changed.find("0.02"), 4, "0.03");
  work.write("tiny.toml", changed);
  expect_contains(failure(2, {"compare", "tiny.toml", "--out", "s", "--resume"}, work), "other settings");
}

TEST(Compare, AKilledStudyGoesOnToTheSameWeights) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  const json whole = json::parse(run({"compare", "tiny.toml", "--out", "whole", "--json"}, work).out);
  {
    Program program({"compare", "tiny.toml", "--out", "s"}, work.path());
    ASSERT_TRUE(program.wait_until([&] {
      return std::filesystem::exists(RunFolder::last_of(work / "s/ce/seed-1"));
    })) << program.err_so_far();
    program.signal(SIGKILL);
    program.wait();
  }
  std::vector<std::string> resume = {"compare", "tiny.toml", "--out", "s", "--resume", "--json"};
  {
    Program program(resume, work.path());
    ASSERT_TRUE(program.wait_until([&] { return RunFolder::is_run(work / "s/plain/seed-1"); }))
        << program.err_so_far();
    program.signal(SIGTERM);
    const Outcome stopped = program.wait();
    EXPECT_EQ(stopped.code, 128 + SIGTERM) << stopped.err;
    EXPECT_EQ(stopped.out, "");
    expect_contains(stopped.err, "--resume` goes on");
  }
  const Outcome resumed = run(resume, work);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const json result = json::parse(resumed.out);
  for (const size_t row : {0, 1}) {
    EXPECT_EQ(result["rows"][row]["runs"][0]["weights_hash"], whole["rows"][row]["runs"][0]["weights_hash"]);
    EXPECT_EQ(result["rows"][row]["best"], whole["rows"][row]["best"]);
  }
}

TEST(Compare, AGivenTeacherAndADivergedRun) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  ASSERT_EQ(run({"train", "--model", "resnet8", "--data", "synthetic:train=96,test=48", "--epochs", "1",
                 "--out", "t"},
                work)
                .code,
            0);
  std::string study = tiny;
  study.replace(study.find("[teacher]\nmodel = \"resnet8\""), 27, "[teacher]\nweights = \"t:best\"");
  study += "[[methods]]\nname = \"kd\"\nlabel = \"wild\"\nalpha = 1e30\n";
  work.write("given.toml", study);
  const Outcome outcome = run({"compare", "given.toml", "--out", "s"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(work / "s/teacher"));
  expect_contains(outcome.out, "1 run diverged");
  expect_contains(outcome.out, "teacher resnet8");
  EXPECT_EQ(json::parse(content_of(work / "s/results.json"))["rows"][2]["best"], nullptr);
}

TEST(Compare, WhatCannotRunIsRefusedBeforeAnythingDoes) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  expect_contains(failure(3, {"compare", "none.toml"}, work), "none.toml");
  failure(2, {"compare"}, work);
  failure(2, {"compare", "tiny.toml", "--force", "--resume"}, work);
  std::string model = tiny;
  model.replace(model.rfind("resnet8"), 7, "resnet9");
  work.write("model.toml", model);
  expect_contains(failure(2, {"compare", "model.toml", "--out", "s"}, work), "resnet9");
  std::string weights = tiny;
  weights.replace(weights.find("[teacher]\nmodel = \"resnet8\""), 27, "[teacher]\nweights = \"none\"");
  work.write("weights.toml", weights);
  expect_contains(failure(3, {"compare", "weights.toml", "--out", "s"}, work), "none");
  EXPECT_FALSE(std::filesystem::exists(work / "s"));
}

}  // namespace
}  // namespace retort
