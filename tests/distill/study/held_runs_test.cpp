// Runs that are there already count for what is asked now only if they are of it: the same settings, images,
// teacher, and a length that does not change what was trained.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/npy_pictures.h"
#include "tests/support/paths.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

const Strings small = {"--data", "synthetic:train=32,test=16", "--batch", "16", "--threads", "1"};

std::string study_of(const std::string& spec, const std::string& more, const std::string& methods) {
  std::string toml =
      "title = \"t\"\nseeds = 1\n[settings]\nepochs = 1\nbatch = 16\nthreads = 1\ndata.spec = \"" + spec +
      "\"\n" + more + "[student]\nmodel = \"resnet8\"\n";
  std::istringstream names(methods);
  for (std::string name; names >> name;) toml += "[[methods]]\nname = \"" + name + "\"\n";
  return toml;
}

TEST(HeldRuns, OtherImagesAtTheSamePlaceAreRefused) {
  const TempFolder work;
  work.write("s.toml", study_of("npy:d", "", "ce"));
  write_npy_pictures(work / "d", 1);
  succeed({"compare", "s.toml", "--out", "s"}, work);
  succeed({"compare", "s.toml", "--out", "s"}, work);
  write_npy_pictures(work / "d", 2);
  const std::string said = failure(2, {"compare", "s.toml", "--out", "s", "--seeds", "2"}, work);
  expect_contains(said, "data npy:d, now it is another one of that name");
  expect_contains(said, "--force");
  EXPECT_FALSE(fs::exists(work / "s/ce/seed-2"));
}

TEST(HeldRuns, AnotherTeacherAtTheSamePlaceIsRefused) {
  const TempFolder work;
  work.write("s.toml", study_of("synthetic:train=32,test=16", "[teacher]\nweights = \"t\"\n", "kd"));
  const auto teach = [&](const char* seed) {
    fs::remove_all(work / "t");
    succeed(Strings{"train", "--model", "resnet8", "--epochs", "1", "--seed", seed, "--out", "t"} + small,
            work);
  };
  teach("1");
  succeed({"compare", "s.toml", "--out", "s"}, work);
  teach("2");
  expect_contains(failure(2, {"compare", "s.toml", "--out", "s", "--seeds", "2"}, work),
                  "teacher t, now it is another one of that name");
}

// Its teacher was lost and trained anew, with other bits, as on another machine: what it taught before does
// not count.
TEST(HeldRuns, AStudentOfAnotherTrainingOfItsTeacherFails) {
  const TempFolder work;
  work.write("s.toml", study_of("synthetic:train=32,test=16", "[teacher]\nmodel = \"resnet8\"\n", "kd"));
  succeed({"compare", "s.toml", "--out", "s"}, work);
  work.write("other.toml", study_of("synthetic:train=32,test=16",
                                    "[teacher]\nmodel = \"resnet8\"\noptimizer.lr = 0.01\n", "kd"));
  fs::remove_all(work / "s/teacher");
  const Outcome outcome = run({"compare", "other.toml", "--out", "s"}, work);
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  expect_contains(outcome.out + outcome.err, "another one of that name");
}

// The table of a row that was not asked for again, and tables put together from elsewhere.
TEST(HeldRuns, RowsOfOtherSettingsStandInNoTable) {
  const TempFolder work;
  const std::string spec = "synthetic:train=32,test=16";
  work.write("s.toml", study_of(spec, "[teacher]\nmodel = \"resnet8\"\n", "ce kd"));
  succeed({"compare", "s.toml", "--out", "a", "--epochs", "1", "--methods", "ce"}, work);
  const Outcome more = run({"compare", "s.toml", "--out", "a", "--epochs", "2", "--methods", "kd"}, work);
  expect_contains(more.out, "holds a run with other settings");
  const auto rows = [&](const char* folder) {
    return json::parse(content_of(work / (std::string(folder) + "/results.json")))["pairs"][0]["rows"];
  };
  EXPECT_EQ(rows("a")[0]["runs"][0]["status"], "failed");
  EXPECT_EQ(rows("a")[1]["runs"][0]["status"], "finished");

  work.write("ce.toml", study_of(spec, "", "ce"));
  succeed({"compare", "ce.toml", "--out", "b", "--epochs", "1", "--seeds", "2", "--task", "0"}, work);
  succeed({"compare", "ce.toml", "--out", "b", "--epochs", "2", "--seeds", "2", "--task", "1"}, work);
  const Outcome collected =
      run({"compare", "ce.toml", "--out", "b", "--epochs", "2", "--seeds", "2", "--collect"}, work);
  EXPECT_EQ(collected.code, 2) << collected.err;
  EXPECT_EQ(rows("b")[0]["runs"][0]["status"], "failed");
  EXPECT_EQ(rows("b")[0]["runs"][1]["status"], "finished");
  EXPECT_EQ(json::parse(content_of(work / "b/results.json"))["pairs"][0]["name"], "resnet8");
}

TEST(HeldRuns, CollectedRunsHaveOneDataSet) {
  const TempFolder work;
  work.write("s.toml", study_of("npy:d", "", "ce"));
  write_npy_pictures(work / "d", 1);
  succeed({"compare", "s.toml", "--out", "s", "--seeds", "2", "--task", "0"}, work);
  write_npy_pictures(work / "d", 2);
  succeed({"compare", "s.toml", "--out", "s", "--seeds", "2", "--task", "1"}, work);
  fs::remove_all(work / "d");
  const Outcome collected = run({"compare", "s.toml", "--out", "s", "--seeds", "2", "--collect"}, work);
  EXPECT_EQ(collected.code, 2) << collected.err;
  expect_contains(collected.out, "other runs of the study");
}

// What a longer run would have done otherwise from its first epoch on.
TEST(HeldRuns, ARunThatKnowsItsLengthIsNotMadeLonger) {
  const TempFolder work;
  succeed(
      Strings{"train", "--model", "resnet8", "--epochs", "1", "--set", "schedule.kind=cosine", "--out", "c"} +
          small,
      work);
  expect_contains(failure(2, {"train", "--resume", "c", "--epochs", "2"}, work),
                  "falls as a cosine over 1 epochs");
  succeed(Strings{"distill", "--student", "resnet8", "--teacher", "c", "--method", "pcd-progressive",
                  "--epochs", "1", "--out", "p"} +
              small,
          work);
  const std::string said = failure(2, {"distill", "--resume", "p", "--epochs", "2"}, work);
  expect_contains(said, "pcd-progressive changes its terms");
  expect_contains(said, "--init");
}

// Its teacher was trained on since: what it says now is not what was taught.
TEST(HeldRuns, AnotherTeacherIsShownByNameOrNotAtAll) {
  const TempFolder work;
  succeed(Strings{"train", "--model", "resnet8", "--epochs", "1", "--out", "t"} + small, work);
  succeed(Strings{"distill", "--student", "resnet8", "--teacher", "t", "--epochs", "1", "--out", "p"} + small,
          work);
  const Strings explain = {"explain", "--weights", "p", "--image", "0"};
  EXPECT_EQ(succeed(explain, work).err.find("teacher of"), std::string::npos);
  succeed({"train", "--resume", "t", "--epochs", "2"}, work);
  expect_contains(failure(3, explain, work), "t: is not the teacher of p");
  expect_contains(succeed(explain + Strings{"--teacher", "t"}, work).err, "note: t: is not the teacher of p");
  expect_contains(succeed({"report", "p", "t", "--no-eval", "--out", "page"}, work).out,
                  "t: is not the teacher of p");
}

TEST(HeldRuns, AFileThatNamesTheUsualDataKeepsIt) {
  const TempFolder work;
  succeed(Strings{"train", "--model", "resnet8", "--epochs", "1", "--out", "t"} + small, work);
  work.write("c.toml",
             "command = \"distill\"\nmodel = \"resnet8\"\nteacher = \"t\"\n[data]\nspec = \"synthetic\"\n");
  const Outcome outcome = succeed({"distill", "--config", "c.toml", "--print-config"}, work);
  EXPECT_EQ(outcome.out.find("train=32"), std::string::npos) << outcome.out;
}

TEST(HeldRuns, ASeedThatDivergesEndsWithItsCodeAndStopsNoOther) {
  const TempFolder work;
  const Strings wild = Strings{"train", "--model", "resnet8", "--epochs", "1", "--lr", "1e30"} + small;
  EXPECT_EQ(run(wild + Strings{"--seeds", "2", "--out", "s"}, work).code, 5);
  EXPECT_TRUE(fs::exists(work / "s/seed-2/summary.json"));
  EXPECT_EQ(run({"train", "--resume", "s"}, work).code, 5);
  EXPECT_EQ(run({"train", "--resume", "s"}, work).code, 5);
}

TEST(HeldRuns, SeedsThatAreNoLongerWantedGoWithForce) {
  const TempFolder work;
  const Strings train = Strings{"train", "--model", "resnet8", "--epochs", "1", "--out", "s"} + small;
  succeed(train + Strings{"--seeds", "3"}, work);
  succeed(train + Strings{"--seeds", "2", "--force"}, work);
  EXPECT_TRUE(fs::exists(work / "s/seed-2/summary.json"));
  EXPECT_FALSE(fs::exists(work / "s/seed-3"));
}

// A forced training that was stopped left old seeds beside new ones; going on, it averaged both.
TEST(HeldRuns, SeedsOfOtherSettingsAreNotGoneOnWith) {
  const TempFolder work;
  const auto train = [&](const Strings& more) {
    succeed(Strings{"train", "--model", "resnet8", "--seeds", "2", "--out", "s"} + small + more, work);
  };
  train({"--epochs", "1"});
  fs::copy(work / "s/seed-2", work / "old", fs::copy_options::recursive);
  train({"--epochs", "2", "--lr", "0.01", "--force"});
  fs::remove_all(work / "s/seed-2");
  fs::rename(work / "old", work / "s/seed-2");
  const Outcome resumed = run({"train", "--resume", "s"}, work);
  EXPECT_EQ(resumed.code, 2);
  expect_contains(resumed.err, "seed-2: holds a run with other settings");
}

// "0.5,0.5,0.5" was held to be other numbers than "0.5 0.5 0.5".
TEST(HeldRuns, NumbersHaveOneSpelling) {
  const TempFolder work;
  succeed(Strings{"train", "--model", "resnet8", "--seeds", "2", "--epochs", "1", "--mean", "0.50,.5,0.5",
                  "--std", "[0.25, 0.25, 0.25]", "--out", "s"} +
              small,
          work);
  succeed({"train", "--resume", "s"}, work);
  expect_contains(content_of(work / "s/seeds.toml"), "mean = \"0.5 0.5 0.5\"");
}

// Processes share a batch in as many parts as they are, where nobody says how many: their run was nobody's.
TEST(HeldRuns, PartsThatNobodyGaveAreThoseOfTheRun) {
  const TempFolder work;
  work.write("s.toml", study_of("synthetic:train=32,test=16", "", "ce"));
  succeed({"compare", "s.toml", "--out", "s", "--set", "shards=2"}, work);
  succeed({"compare", "s.toml", "--out", "s", "--collect"}, work);
}

TEST(HeldRuns, ATaskOfOtherSettingsIsNotFinished) {
  const TempFolder work;
  work.write("s.toml", study_of("synthetic:train=32,test=16", "", "ce"));
  succeed({"compare", "s.toml", "--out", "s"}, work);
  succeed({"compare", "s.toml", "--out", "s", "--task", "0"}, work);
  expect_contains(
      failure(2, {"compare", "s.toml", "--out", "s", "--set", "optimizer.lr=0.5", "--task", "0"}, work),
      "holds a run with other settings (there: optimizer.lr = 0.05; now: optimizer.lr = 0.5)");
}

// How long a study takes is said if it can be.
TEST(HeldRuns, AnEstimateEndsNoStudy) {
  const TempFolder work;
  succeed(Strings{"train", "--model", "resnet8", "--epochs", "1", "--out", "t"} + small, work);
  const std::string pair = "[[pairs]]\nstudent = \"resnet8\"\nteacher = \"resnet8\"\nweights = ";
  work.write("s.toml",
             "title = \"t\"\nseeds = 1\n[settings]\nepochs = 1\nbatch = 16\nthreads = 1\ndata.spec = "
             "\"synthetic:train=32,test=16\"\n" +
                 pair + "\"t\"\nname = \"a\"\n" + pair +
                 "\"not-there.pth\"\nname = \"b\"\n[[methods]]\nname = \"kd\"\n");
  succeed({"compare", "s.toml", "--out", "s", "--only", "a"}, work);
  work.write("one.toml", study_of("synthetic:train=32,test=16", "", "ce"));
  const std::string command = "cd " + work.path().string() + " && TMPDIR=/nowhere " + program_file() +
                              " compare one.toml --out one >said 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << content_of(work / "said");
}

TEST(HeldRuns, AStoreHasALimitThatANumberHolds) {
  const TempFolder work;
  expect_contains(
      failure(2, Strings{"distill", "--teacher", "t", "--set", "teacher_table.limit_gib=1e12"} + small, work),
      "teacher_table.limit_gib");
}

}  // namespace
}  // namespace retort
