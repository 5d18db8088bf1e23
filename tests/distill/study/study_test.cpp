// Studies: what their files may say, and `retort compare` from outside.
#include "distill/study/study.h"

#include <gtest/gtest.h>

#include <sys/file.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "distill/study/study_progress.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

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
  ASSERT_EQ(study.pairs.size(), 1u);
  const StudyPair& pair = study.pairs[0];
  EXPECT_EQ(pair.name, "resnet8-resnet8");
  EXPECT_EQ(pair.place, "");
  EXPECT_EQ(pair.teacher.model, "resnet8");
  EXPECT_EQ(pair.teacher.epochs, 2);
  EXPECT_EQ(pair.teacher.optimizer.lr, 0.05);
  ASSERT_EQ(pair.methods.size(), 2u);
  EXPECT_EQ(pair.methods[0].label, "ce");
  EXPECT_EQ(pair.methods[0].settings.command, "train");
  EXPECT_EQ(pair.methods[1].label, "plain");
  EXPECT_EQ(pair.methods[1].settings.command, "distill");
  EXPECT_EQ(pair.methods[1].settings.method.number("temperature"), 2);
  EXPECT_EQ(pair.methods[1].settings.optimizer.lr, 0.02);
}

const std::string two_pairs = R"(
[settings]
epochs = 1
batch = 32
data.spec = "synthetic:train=96,test=48"
[[pairs]]
teacher = "resnet14"
student = "resnet8"
[[pairs]]
name = "self"
teacher = "resnet8"
student = "resnet8"
settings.optimizer.momentum = 0.8
[[methods]]
name = "ce"
[[methods]]
name = "pcd"
)";

TEST(Study, ReadsPairsAndVariants) {
  TempFolder folder;
  const Study study = read_study(folder.write("s.toml", two_pairs + R"(
[[variants]]
label = "low"
optimizer.lr = 0.01
[[variants]]
label = "high"
)"));
  ASSERT_EQ(study.pairs.size(), 4u);
  EXPECT_EQ(study.pairs[0].name, "resnet14-resnet8, low");
  EXPECT_EQ(study.pairs[0].place, "resnet14-resnet8/low");
  EXPECT_EQ(study.pairs[0].teacher.model, "resnet14");
  EXPECT_EQ(study.pairs[0].teacher.optimizer.lr, 0.05);
  EXPECT_EQ(study.pairs[0].methods[1].settings.optimizer.lr, 0.01);
  EXPECT_EQ(study.pairs[0].methods[1].settings.optimizer.momentum, 0.9);
  EXPECT_EQ(study.pairs[3].name, "self, high");
  EXPECT_EQ(study.pairs[3].methods[1].settings.optimizer.lr, 0.05);
  EXPECT_EQ(study.pairs[3].methods[1].settings.optimizer.momentum, 0.8);
}

TEST(Study, TheCommandLineComesLast) {
  TempFolder folder;
  const auto file = folder.write("study.toml", tiny);
  const Study study = read_study(
      file, {.seeds = 4, .sets = {{"epochs", "3"}, {"optimizer.lr", "0.5"}, {"method.alpha", "0.25"}}});
  EXPECT_EQ(study.seeds, 4);
  EXPECT_EQ(study.pairs[0].teacher.epochs, 3);
  EXPECT_EQ(study.pairs[0].methods[0].settings.epochs, 3);
  EXPECT_EQ(study.pairs[0].methods[1].settings.optimizer.lr, 0.5);
  EXPECT_EQ(study.pairs[0].methods[1].settings.method.number("alpha"), 0.25);
  expect_fault(Fault::usage, "no method", [&] {
    read_study(file, {.seeds = {}, .sets = {{"method.beta", "1"}}});
  });
  expect_fault(Fault::usage, "the study's", [&] {
    read_study(file, {.seeds = {}, .sets = {{"model", "vgg8"}}});
  });
  expect_fault(Fault::usage, "epochs", [&] { read_study(file, {.seeds = {}, .sets = {{"epochz", "1"}}}); });
}

TEST(Study, IsFoundByName) {
  EXPECT_EQ(find_study("some/where.toml"), "some/where.toml");
  EXPECT_EQ(find_study("quick"), "recipes:/studies/quick.toml");
  EXPECT_EQ(read_study(find_study("quick")).pairs.size(), 1u);
  expect_fault(Fault::input, "did you mean 'quick'", [] { find_study("quik"); });
}

TEST(Study, TakesRecipesOfThePair) {
  const Study study = read_study(find_study("paper-table"));
  EXPECT_EQ(study.pairs.size(), 14u);
  const StudyPair& last = study.pairs[3];
  EXPECT_EQ(last.name, "resnet32x4-resnet8x4");
  EXPECT_EQ(last.teacher.model, "resnet32x4");
  for (const StudyMethod& method : last.methods) {
    EXPECT_EQ(method.settings.model, "resnet8x4");
    EXPECT_EQ(method.settings.epochs, method.label == "mlkd, two views" ? 480 : 240);
    if (method.label == "dkd") {
      EXPECT_EQ(method.settings.method.number("beta"), 8);
    }
  }
}

TEST(Study, TheOnesThatComeWithTheProgramLoad) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(testing::recipes_folder() + "/studies")) {
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
  expect_contains(refusal(methods + "[[pairs]]\nteacher = \"vgg8\"\n"), "a pair needs");
  expect_contains(refusal(methods + "[[pairs]]\nteacher = \"vgg8\"\nstuden = \"vgg8\"\n"), "'student'");
  expect_contains(refusal(methods + "pairs = 3\n"), "method ce has no key");
  expect_contains(refusal("pairs = 3\n" + methods), "[[pairs]]");
  expect_contains(refusal(methods + "[[methods]]\nrecipe = \"kd-ls\"\n"), "no recipes = ");
  expect_contains(refusal(methods + "[[variants]]\nepochs = 3\n"), "cannot name a folder");
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
       {"teacher resnet8", "resnet8 alone", "resnet8 plain", "seconds", "retort report s", "s/results.md"})
    expect_contains(outcome.out, part);
  expect_contains(content_of(work / "s/curves.svg"), "</svg>");
  expect_contains(content_of(work / "s/results.md"), "| resnet8 plain |");
  const json result = json::parse(content_of(work / "s/results.json"));
  const json& rows = result["pairs"][0]["rows"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1]["runs"][0]["status"], "finished");
  EXPECT_EQ(rows[1]["runs"][0]["folder"], "plain/seed-1");
  EXPECT_EQ(rows[1]["method"], "kd");
  EXPECT_EQ(result["pairs"][0]["teacher"]["folder"], "teacher");

  // What is finished is not repeated, and another spelling of the folder is the same folder.
  const auto before = std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1"));
  const Outcome again = run({"compare", "tiny.toml", "--out", "./s", "--json"}, work);
  ASSERT_EQ(again.code, 0) << again.err;
  json unsealed = result;
  unsealed.erase("format");
  unsealed.erase("xxh3");
  EXPECT_EQ(json::parse(again.out), unsealed);
  EXPECT_EQ(std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1")), before);

  // More seeds are more runs of the same study.
  const Outcome seeds = run({"compare", "tiny.toml", "--out", "s", "--seeds", "2"}, work);
  ASSERT_EQ(seeds.code, 0) << seeds.err;
  expect_contains(seeds.out, "±");
  EXPECT_EQ(std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1")), before);
  EXPECT_TRUE(RunFolder::is_run(work / "s/plain/seed-2"));

  // A study that was changed is not continued as if it had not been.
  std::string changed = tiny;
  changed.replace(changed.find("0.02"), 4, "0.03");
  work.write("tiny.toml", changed);
  expect_contains(failure(2, {"compare", "tiny.toml", "--out", "s"}, work), "lr = 0.03");
  EXPECT_EQ(std::filesystem::last_write_time(RunFolder::last_of(work / "s/plain/seed-1")), before);
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
  std::vector<std::string> resume = {"compare", "tiny.toml", "--out", "s", "--json"};
  {
    Program program(resume, work.path());
    ASSERT_TRUE(program.wait_until([&] { return RunFolder::is_run(work / "s/plain/seed-1"); }))
        << program.err_so_far();
    program.signal(SIGTERM);
    const Outcome stopped = program.wait();
    EXPECT_EQ(stopped.code, 128 + SIGTERM) << stopped.err;
    EXPECT_EQ(stopped.out, "");
    expect_contains(stopped.err, "the same command goes on");
    const json part = json::parse(content_of(work / "s/results.json"));
    EXPECT_EQ(part["pairs"][0]["rows"][0]["runs"][0]["status"], "finished");
    EXPECT_NE(part["pairs"][0]["rows"][1]["runs"][0]["status"], "finished");
  }
  const Outcome resumed = run(resume, work);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const json result = json::parse(resumed.out);
  for (const size_t row : {0, 1}) {
    const json &there = result["pairs"][0]["rows"][row], &expected = whole["pairs"][0]["rows"][row];
    EXPECT_EQ(there["runs"][0]["weights_hash"], expected["runs"][0]["weights_hash"]);
    EXPECT_EQ(there["best"], expected["best"]);
    EXPECT_EQ(there["last"], expected["last"]);
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
  // In the middle: the rest goes on.
  study.insert(study.find("[[methods]]\nname = \"kd\""),
               "[[methods]]\nname = \"kd\"\nlabel = \"wild\"\nalpha = 1e6\n");
  work.write("given.toml", study);
  const Outcome outcome = run({"compare", "given.toml", "--out", "s"}, work);
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(work / "s/teacher"));
  expect_contains(outcome.out, "1 run diverged");
  expect_contains(outcome.out, "s/wild/seed-1: diverged");
  expect_contains(outcome.out, "teacher resnet8");
  const json pair = json::parse(content_of(work / "s/results.json"))["pairs"][0];
  EXPECT_EQ(pair["name"], "resnet8-resnet8");
  const json& rows = pair["rows"];
  EXPECT_EQ(rows[1]["best"], nullptr);
  EXPECT_EQ(rows[1]["runs"][0]["status"], "diverged");
  EXPECT_EQ(rows[2]["runs"][0]["status"], "finished");
  // It is not tried again, and still told.
  const Outcome again = run({"compare", "given.toml", "--out", "s"}, work);
  EXPECT_EQ(again.code, 5);
  expect_contains(again.out, "s/wild/seed-1: diverged");
}

TEST(Compare, PairsShareTeachersAndLoneStudentsAndRunSideBySide) {
  TempFolder work;
  work.write("two.toml", two_pairs);
  const Outcome one = run({"compare", "two.toml", "--out", "one", "--seeds", "2", "--json"}, work);
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome several =
      run({"compare", "two.toml", "--out", "many", "--seeds", "2", "--parallel", "3", "--json"}, work);
  ASSERT_EQ(several.code, 0) << several.err;
  json a = json::parse(one.out), b = json::parse(several.out);
  EXPECT_EQ(a["pairs"][0]["name"], "resnet14-resnet8");
  EXPECT_EQ(a["pairs"][1]["teacher"]["folder"], "teachers/resnet8");
  EXPECT_EQ(a["pairs"][0]["rows"][0]["runs"][0]["folder"], "students/resnet8/ce/seed-1");
  // The second pair's student has other settings: its lone student is another one.
  EXPECT_EQ(a["pairs"][1]["rows"][0]["runs"][0]["folder"], "self/ce/seed-1");
  for (const size_t pair : {0, 1}) {
    for (const size_t row : {0, 1}) {
      for (const size_t seed : {0, 1}) {
        const auto hash = [&](const json& study) {
          return study["pairs"][pair]["rows"][row]["runs"][seed]["weights_hash"].get<std::string>();
        };
        EXPECT_EQ(hash(a), hash(b));
        EXPECT_NE(hash(a), "");
      }
    }
  }
  // Seed by seed, a teacher before the first that needs it.
  const size_t first = one.err.find("10: self, pcd, seed 2");
  EXPECT_NE(first, std::string::npos) << one.err;
  EXPECT_LT(one.err.find("2 of 10: teacher resnet14"),
            one.err.find("3 of 10: resnet14-resnet8, pcd, seed 1"));
  const Outcome table = run({"compare", "two.toml", "--out", "one", "--seeds", "2"}, work);
  expect_contains(table.out, "Best epoch");
  expect_contains(table.out, "resnet14-resnet8");
}

TEST(Compare, ADivergedTeacherLeavesTheStudentsThatNeedNone) {
  TempFolder work;
  std::string wild = tiny;
  wild.replace(wild.find("model = \"resnet8\""), 17, "model = \"resnet8\"\noptimizer.lr = 1e30");
  work.write("wild.toml", wild);
  const Outcome outcome = run({"compare", "wild.toml", "--out", "s"}, work);
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  const json rows = json::parse(content_of(work / "s/results.json"))["pairs"][0]["rows"];
  EXPECT_EQ(rows[0]["runs"][0]["status"], "finished");
  EXPECT_EQ(rows[1]["runs"][0]["problem"], "its teacher diverged");
}

TEST(Compare, TwoInOneFolderAreOneTooMany) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  const auto lock = work.write("s/study.lock", "");
  const int file = ::open(lock.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  expect_contains(failure(2, {"compare", "tiny.toml", "--out", "s"}, work), "works in this folder");
  ::close(file);
  EXPECT_FALSE(std::filesystem::exists(work / "s/results.json"));
}

TEST(StudyProgress, TimeLeftComesFromRunsOfTheKind) {
  double now = 0;
  Progress shown(-1, false, [&] { return now; });
  StudyProgress progress(shown, {"a", "b", "a", "b"}, 1, [&] { return now; });
  EXPECT_TRUE(std::isnan(progress.seconds_left()));
  Summary summary;
  summary.status = "finished";
  {
    const auto run = progress.begin(0, "a1");
    run->batch({.epoch = 1, .epochs = 2, .batch = 0, .batches = 10});
    now = 10;
    run->batch({.epoch = 1, .epochs = 2, .batch = 5, .batches = 10});
    // A quarter took 10 s: this run has 30 s left, and the others are taken to be like it.
    EXPECT_NEAR(progress.seconds_left(), 30 + 3 * 40, 1e-9);
    summary.seconds = 44;
    progress.end(0, summary, "", false);
  }
  EXPECT_NEAR(progress.seconds_left(), 3 * 44, 1e-9);
  {
    const auto run = progress.begin(1, "b1");
    summary.seconds = 100;
    progress.end(1, summary, "", false);
  }
  EXPECT_NEAR(progress.seconds_left(), 44 + 100, 1e-9);
  // One that diverged says nothing about the time of others, and is done.
  {
    const auto run = progress.begin(2, "a2");
    summary.status = "diverged";
    summary.seconds = 1;
    progress.end(2, summary, "the loss", false);
  }
  EXPECT_NEAR(progress.seconds_left(), 100, 1e-9);
}

TEST(Compare, AnotherFolderIsLeftAlone) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  work.write("mine/letter.txt", "dear");
  expect_contains(failure(2, {"compare", "tiny.toml", "--out", "mine"}, work), "no study's folder");
  failure(3, {"compare", "tiny.toml", "--out", "none", "--resume"}, work);
  EXPECT_FALSE(std::filesystem::exists(work / "none"));
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

// One task after the other gives what the queue gives.
TEST(Study, TasksAreItsRuns) {
  const TempFolder work;
  work.write("study.toml", tiny);
  const auto table = [&](const Outcome& outcome) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out.substr(0, outcome.out.find("results:"));
  };
  const std::string whole = table(run({"compare", "study.toml", "--out", "whole"}, work));
  const auto task = [&](const std::string& number) {
    return std::vector<std::string>{"compare", "study.toml", "--out", "tasks", "--task", number};
  };
  // Teacher, ce, kd; a student whose teacher is not there waits for nobody.
  expect_contains(failure(3, task("2"), work), "the teacher of");
  expect_contains(failure(2, task("3"), work), "the study has 3 runs, 0 to 2");
  for (const char* number : {"1", "0", "2"}) EXPECT_EQ(run(task(number), work).code, 0) << number;
  EXPECT_FALSE(std::filesystem::exists(work / "tasks/results.md"));
  expect_contains(run(task("2"), work).out, "task 2: finished");
  const std::string collected = table(run({"compare", "study.toml", "--out", "tasks", "--collect"}, work));
  const auto names = [](const std::string& printed) {
    std::string all;
    std::istringstream in(printed);
    for (std::string line; std::getline(in, line);) all += line.substr(0, 14) + "\n";
    return all;
  };
  EXPECT_EQ(names(collected), names(whole));
  EXPECT_TRUE(std::filesystem::exists(work / "tasks/results.md"));
  for (const char* file : {"teacher", "ce/seed-1", "plain/seed-1"}) {
    const auto hash = [&](const std::string& folder) {
      return json::parse(content_of(work / (folder + "/" + file + "/summary.json")))["weights_hash"]
          .get<std::string>();
    };
    EXPECT_EQ(hash("tasks"), hash("whole")) << file;
  }
}

}  // namespace
}  // namespace retort
