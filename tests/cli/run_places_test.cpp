// A run goes on wherever it is named from, and longer than it was meant to; what settings tell is said before
// the first step.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "distill/methods/registry.h"
#include "distill/run/run_folder.h"
#include "engine/cpu/thread_pool.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

const Strings drawn = {"--data", "synthetic:train=48,test=24", "--epochs", "1", "--batch", "16", "--threads",
                       "1"};

// In work/a: a teacher's run "t", and a student's "s" that names it as it lies beside it.
void make_student(const TempFolder& work) {
  fs::create_directories(work / "a/below");
  succeed(Strings{"train", "--model", "resnet8", "--out", "t"} + drawn, work, "a");
  succeed(
      Strings{"distill", "--student", "resnet8", "--teacher", "t", "--method", "kd", "--out", "s"} + drawn,
      work, "a");
}

// CIFAR-100's files, all black, all of class 0, but for a byte that tells one folder from another.
void write_images(const TempFolder& work, const std::string& folder, char byte) {
  work.zeros(folder + "/test.bin", 30'740'000);
  std::fstream file(work.zeros(folder + "/train.bin", 153'700'000));
  file.seekp(5);
  file.put(byte);
}

TEST(RunPlaces, ARunGoesOnFromAnyFolder) {
  const TempFolder work;
  make_student(work);
  succeed({"distill", "--resume", "a/s", "--epochs", "2"}, work);
  succeed({"distill", "--resume", "../s", "--epochs", "3"}, work, "a/below");
  succeed({"distill", "--resume", (work / "a/s").string(), "--epochs", "4"}, work, "a/t");
  succeed({"eval", "--weights", "a/s"}, work);
  expect_contains(succeed({"report", "../a", "--out", "page.html"}, work, "a").out, "kd");
  // Moved together with what it names, though there is something else in the old place.
  fs::rename(work / "a", work / "b");
  fs::create_directory(work / "a");
  succeed(Strings{"train", "--model", "resnet8", "--seed", "9", "--out", "t"} + drawn, work, "a");
  succeed({"distill", "--resume", "b/s", "--epochs", "5"}, work);
  succeed({"eval", "--weights", "b/s"}, work);
}

TEST(RunPlaces, ImagesAreFoundWhereTheyWereNamed) {
  const TempFolder work;
  write_images(work, "a/old", 0);
  write_images(work, "other", 1);
  const Strings command = {"train",   "--model", "resnet8", "--data", "cifar100:old", "--limit", "48",
                           "--batch", "16",      "--out",   "run",    "--epochs",     "1"};
  succeed(command, work, "a");
  const Strings resume = {"train", "--resume", "a/run", "--epochs", "2"};
  expect_contains(failure(3, resume + Strings{"--data", "cifar100:other"}, work), "is not the data");
  // What lies here has the same name and is not it.
  write_images(work, "old", 1);
  succeed(resume, work);
  fs::rename(work / "a/old", work / "moved");
  expect_contains(failure(3, {"train", "--resume", "a/run", "--epochs", "3"}, work), "is not the data");
  fs::remove_all(work / "old");
  expect_contains(failure(3, {"train", "--resume", "a/run", "--epochs", "3"}, work), "--data");
  succeed({"train", "--resume", "a/run", "--epochs", "3", "--data", "cifar100:moved"}, work);
  // From now on it knows where they are.
  succeed({"train", "--resume", "run", "--epochs", "4"}, work, "a");
}

TEST(RunPlaces, NoFileNamesAFolderThatNobodyTyped) {
  const TempFolder work;
  make_student(work);
  succeed({"distill", "--resume", "a/s", "--epochs", "2"}, work);
  const std::string absolute = fs::canonical(work.path()).string();
  for (const auto& entry : fs::recursive_directory_iterator(work / "a/s"))
    if (entry.is_regular_file()) {
      EXPECT_EQ(content_of(entry.path()).find(absolute), std::string::npos) << entry.path();
    }
}

TEST(RunPlaces, AnOptionSaysWhereTheTeacherLiesAndItsHashDecides) {
  const TempFolder work;
  make_student(work);
  fs::rename(work / "a/t", work / "teacher");
  const Strings resume = {"distill", "--resume", "a/s", "--epochs", "2"};
  // Whichever command it was, the advice is one that can be followed.
  for (const char* command : {"distill", "train"})
    expect_contains(failure(3, {command, "--resume", "a/s", "--epochs", "2"}, work),
                    "say where it lies: retort distill --resume a/s --teacher RUN");
  succeed(Strings{"train", "--model", "resnet8", "--seed", "5", "--out", "another"} + drawn, work);
  const Outcome other = run(resume + Strings{"--teacher", "another"}, work);
  EXPECT_EQ(other.code, 3);
  expect_contains(other.err, "teacher");
  succeed(resume + Strings{"--teacher", "teacher"}, work);
  succeed({"distill", "--resume", "a/s", "--epochs", "3"}, work);
}

// config.toml "runs again as it is", wherever that is said.
TEST(RunPlaces, ItsSettingsNameTheSamePlacesFromAnyFolder) {
  const TempFolder work;
  make_student(work);
  succeed({"distill", "--config", "a/s/config.toml", "--out", "z"}, work);
  succeed({"distill", "--config", "../s/config.toml", "--out", "z"}, work, "a/below");
  succeed({"distill", "--config", "config.toml", "--out", "z"}, work, "a/s");
  for (const char* again : {"z", "a/below/z", "a/s/z"})
    EXPECT_EQ(hash_in(work / again), hash_in(work / "a/s"));
  // And the new run knows them by its own place.
  succeed({"distill", "--resume", "a/below/z", "--epochs", "2"}, work);
}

TEST(RunPlaces, AStudyKnowsItsRunsByAnySpelling) {
  const TempFolder work;
  work.write(
      "study.toml",
      "title = \"T\"\nseeds = 1\n[settings]\nepochs = 1\nbatch = 16\nthreads = 1\n[settings.data]\nspec = "
      "\"synthetic:train=48,test=24\"\n[teacher]\nmodel = \"resnet8\"\n[student]\nmodel = "
      "\"resnet8\"\n[[methods]]\nname = \"kd\"\n");
  succeed({"compare", "study.toml", "--out", "s"}, work);
  const auto finished = [&] {
    std::map<fs::path, fs::file_time_type> all;
    for (const auto& entry : fs::recursive_directory_iterator(work / "s"))
      if (entry.path().extension() == ".safetensors") all[entry.path()] = entry.last_write_time();
    return all;
  };
  const auto before = finished();
  EXPECT_FALSE(before.empty());
  fs::create_directory(work / "below");
  succeed({"compare", "study.toml", "--out", (work / "s").string()}, work);
  succeed({"compare", "study.toml", "--out", "./below/../s"}, work);
  succeed({"compare", "../study.toml", "--out", "../s"}, work, "below");
  EXPECT_EQ(finished(), before);
}

TEST(Extending, MoreEpochsEndWhereARunOfThatLengthEnds) {
  const TempFolder work;
  const Strings common = {"train", "--model",   "resnet8", "--data", "synthetic:train=64,test=24", "--batch",
                          "16",    "--threads", "1",       "--set",  "schedule.milestones=[1, 3]"};
  succeed(common + Strings{"--epochs", "2", "--out", "short"}, work);
  succeed(common + Strings{"--epochs", "4", "--out", "long"}, work);
  const Outcome longer = succeed({"train", "--resume", "short", "--epochs", "4"}, work);
  expect_contains(longer.err, "4 epochs instead of 2");
  expect_contains(longer.err, "milestones stay: 1, 3");
  EXPECT_EQ(hash_in(work / "short"), hash_in(work / "long"));
  EXPECT_EQ(content_of(work / "short/summary.json").find("\"epochs\": 2"), std::string::npos);
  // And it needs no more to go on.
  succeed({"train", "--resume", "short"}, work);
  expect_contains(failure(2, {"train", "--resume", "short", "--epochs", "3"}, work), "--init");
  expect_contains(failure(2, {"train", "--resume", "short", "--lr", "0.1"}, work), "--init");
}

TEST(Extending, SeedsTogether) {
  const TempFolder work;
  const Strings common = {
      "train", "--model", "resnet8", "--data", "synthetic:train=32,test=24", "--batch", "16", "--threads",
      "1",     "--seeds", "2",       "--set",  "schedule.milestones=[1]"};
  succeed(common + Strings{"--epochs", "1", "--out", "s"}, work);
  succeed(common + Strings{"--epochs", "2", "--out", "long"}, work);
  succeed({"train", "--resume", "s", "--epochs", "2"}, work);
  for (const char* seed : {"seed-1", "seed-2"})
    EXPECT_EQ(hash_in(work / "s" / seed), hash_in(work / "long" / seed));
  succeed({"train", "--resume", "s"}, work);
}

// A norm over the one value that such a batch leaves per channel is a division by nothing.
TEST(SmallestBatch, WhatCannotTakeOneImageIsRefusedBeforeTheFirstStep) {
  const TempFolder work;
  const Strings common = {
      "--data", "synthetic:train=17,test=24", "--batch", "16", "--threads", "1", "--epochs", "1"};
  succeed(Strings{"train", "--model", "resnet8", "--out", "t"} + common, work);
  const Strings distil = Strings{"distill", "--student", "resnet8", "--teacher", "t"} + common;
  const std::string said = failure(2, distil + Strings{"--method", "reviewkd", "--out", "r"}, work);
  expect_contains(said, "17 images in batches of 16");
  EXPECT_FALSE(fs::exists(work / "r"));
  // One more image, and it can.
  succeed(
      Strings{"distill", "--student", "resnet8", "--teacher", "t", "--method", "reviewkd", "--data",
              "synthetic:train=18,test=24", "--batch", "16", "--threads", "1", "--epochs", "1", "--out", "r"},
      work);
  for (const MethodInfo& method : methods()) {
    SCOPED_TRACE(method.name);
    if (!method.reads.teacher) continue;
    Strings command = distil + Strings{"--method", method.name, "--out", "m-" + method.name};
    const Outcome outcome = run(command, work);
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 2) << outcome.code << outcome.err;
    EXPECT_EQ(fs::exists(work / ("m-" + method.name)), outcome.code == 0);
  }
}

TEST(Defaults, AStudentIsShownWhatItsTeacherWasTrainedOn) {
  const TempFolder work;
  const std::string images = "synthetic:train=48,test=24";
  succeed(Strings{"train", "--model", "resnet8", "--out", "t"} + drawn, work);
  const Strings distil = {"distill", "--student", "resnet8", "--method",  "kd", "--epochs",
                          "1",       "--batch",   "16",      "--threads", "1",  "--out"};
  for (const char* teacher : {"t", "t:best"}) {
    const std::string out = std::string("s") + (teacher[1] ? "b" : "");
    expect_contains(succeed(distil + Strings{out, "--teacher", teacher}, work).err, images);
    EXPECT_EQ(json::parse(content_of(work / out / "summary.json"))["data"], images);
  }
  // Who names other images gets those.
  const std::string others = "synthetic:train=32,test=24";
  succeed(distil + Strings{"o", "--teacher", "t", "--data", others}, work);
  EXPECT_EQ(json::parse(content_of(work / "o/summary.json"))["data"], others);
  work.write("images.toml", "data.spec = \"" + others + "\"\n");
  succeed(distil + Strings{"c", "--teacher", "t", "--config", "images.toml"}, work);
  EXPECT_EQ(json::parse(content_of(work / "c/summary.json"))["data"], others);
}

TEST(Defaults, AFolderThatIsTakenGetsANumber) {
  const TempFolder work;
  const Strings command = {"train",    "--model", "resnet8",   "--data", "synthetic:train=32,test=24",
                           "--epochs", "1",       "--threads", "1",      "--lr"};
  succeed(command + Strings{"0.01"}, work);
  expect_contains(succeed(command + Strings{"0.02"}, work).err, "resnet8-ce-seed1-2");
  expect_contains(succeed(command + Strings{"0.03"}, work).err, "resnet8-ce-seed1-3");
  for (const char* name : {"resnet8-ce-seed1", "resnet8-ce-seed1-2", "resnet8-ce-seed1-3"})
    EXPECT_TRUE(RunFolder::is_run(work / (std::string("runs/") + name))) << name;
  // A name that was given is meant.
  failure(2, command + Strings{"0.04", "--out", "runs/resnet8-ce-seed1"}, work);
}

TEST(StartingWeights, AFreshHeadTakesOtherClasses) {
  const TempFolder work;
  write_images(work, "images", 0);
  succeed(Strings{"train", "--model", "resnet8", "--out", "t"} + drawn, work);
  const Strings command = {"train",   "--model", "resnet8", "--init", "t",        "--data", "cifar100:images",
                           "--limit", "48",      "--batch", "16",     "--epochs", "1"};
  expect_contains(failure(3, command + Strings{"--out", "a"}, work), "init.head=fresh");
  expect_contains(succeed(command + Strings{"--out", "a", "--set", "init.head=fresh"}, work).err,
                  "100 classes instead of 24");
  // The rest is the file's.
  const Outcome other =
      run(command + Strings{"--model", "resnet14", "--out", "b", "--set", "init.head=fresh"}, work);
  EXPECT_EQ(other.code, 3) << other.err;
  expect_contains(failure(2, command + Strings{"--out", "c", "--set", "init.head=new"}, work), "fresh");
}

TEST(Threads, MoreThanProcessorsAreSaidAndFarMoreRefused) {
  const TempFolder work;
  const int processors = cpu_quota();
  const Strings command = {"train",    "--model", "resnet8", "--data", "synthetic:train=32,test=24",
                           "--epochs", "1",       "--out",   "t",      "--threads"};
  const std::string many = std::to_string(4 * processors + 1), more = std::to_string(processors + 1);
  for (const Strings& refused :
       {command + Strings{many}, Strings{"eval", "--weights", "t", "--threads", many},
        Strings{"report", "t", "--threads", many}, Strings{"train", "--resume", "t", "--threads", many}})
    expect_contains(failure(2, refused, work), "four times as many");
  expect_contains(succeed(command + Strings{more}, work).err, more + " threads on");
  EXPECT_EQ(succeed({"eval", "--weights", "t", "--threads", "1"}, work).err.find("threads on"),
            std::string::npos);
}

}  // namespace
}  // namespace retort
