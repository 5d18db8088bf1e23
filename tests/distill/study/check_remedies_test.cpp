// What `retort check` names as damaged or missing, and that the command it names beside it makes the folder
// whole: each is typed here, and then everything holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "distill/run/sealed.h"
#include "distill/study/check.h"
#include "engine/base/atomic_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Status = CheckedFile::Status;
using namespace testing;

Strings training(const std::string& out, const Strings& more = {}) {
  return Strings{"train",   "--model", "resnet8", "--data", "synthetic:train=32,test=16", "--epochs", "2",
                 "--batch", "16",      "--out",   out} +
         more;
}

// Types a remedy, in the folder of the test.
int typed(const std::string& command, const TempFolder& work) {
  const std::string all = "cd '" + work.path().string() + "' && export RETORT_CACHE='" +
                          (work / "cache").string() + "' && retort() { '" + program_file() +
                          "' \"$@\"; } && { " + command + "; } >/dev/null 2>&1";
  return std::system(all.c_str());
}

std::vector<CheckedFile> wrong_in(const fs::path& path) {
  std::vector<CheckedFile> all = check_path(path).files;
  std::erase_if(all, [](const CheckedFile& file) {
    return file.status != Status::damaged && file.status != Status::missing;
  });
  return all;
}

std::string text_of(const std::vector<CheckedFile>& files) {
  std::string all;
  for (const CheckedFile& file : files)
    all += text(name_of(file.status), " ", file.path.string(), ": ", file.reason, " [", file.remedy, "]\n");
  return all;
}

// Exactly this is wrong in the folder, and what is named beside it helps.
void expect_mended(const TempFolder& work, const std::string& folder, Status status,
                   const std::string& file) {
  const std::vector<CheckedFile> wrong = wrong_in(work / folder);
  ASSERT_EQ(wrong.size(), 1u) << text_of(wrong);
  EXPECT_EQ(wrong[0].path, work / folder / file);
  EXPECT_EQ(wrong[0].status, status) << text_of(wrong);
  ASSERT_NE(wrong[0].remedy, "") << text_of(wrong);
  EXPECT_EQ(typed(wrong[0].remedy, work), 0) << wrong[0].remedy;
  const std::vector<CheckedFile> after = wrong_in(work / folder);
  EXPECT_TRUE(after.empty()) << "after " << wrong[0].remedy << "\n" << text_of(after);
}

void change(const fs::path& file, const std::string& from, const std::string& to) {
  write_file(file, replaced(content_of(file), from, to));
}

void flip(const fs::path& file, size_t at) {
  std::string content = content_of(file);
  ASSERT_LT(at, content.size());
  content[at] ^= 1;
  write_file(file, content);
}

// With a hash that is right again.
void change_json(const fs::path& file, const std::function<void(Json&)>& edit) {
  Json json = Json::parse(content_of(file));
  edit(json);
  json.erase("xxh3");
  json.erase("format");
  write_file(file, sealed(json).dump(2) + "\n");
}

void take_seal(const fs::path& file) {
  Json json = Json::parse(content_of(file));
  json.erase("xxh3");
  json.erase("format");
  write_file(file, json.dump(2) + "\n");
}

void change_settings(const fs::path& file, const std::string& from, const std::string& to) {
  std::string content = content_of(file);
  content.erase(content.find("# retort format"));
  write_file(file, sealed(replaced(content, from, to)));
}

class Remedies : public ::testing::Test {
 protected:
  void SetUp() override {
    succeed(training("whole", {"--seed", "3"}), work_);
    succeed(training("other", {"--seed", "2"}), work_);
    hash_ = hash_in(work_ / "whole");
  }

  // What is done to a copy of the run is found at this file, mended, and its weights are what they were.
  void expect_found(const std::string& file, Status status,
                    const std::function<void(const fs::path&)>& harm) {
    SCOPED_TRACE(file);
    fs::remove_all(work_ / "w");
    fs::copy(work_ / "whole", work_ / "w", fs::copy_options::recursive);
    // The copy's settings know where they were typed; its environment, where it was to go.
    harm(work_ / "w");
    expect_mended(work_, "w", status, file);
    EXPECT_EQ(hash_in(work_ / "w"), hash_);
  }
  void expect_found(const std::string& file, const std::function<void(const fs::path&)>& harm) {
    expect_found(file, Status::damaged, harm);
  }

  TempFolder work_;
  std::string hash_;
};

TEST_F(Remedies, OfCheckpoints) {
  const std::string last = "checkpoints/last.safetensors", previous = "checkpoints/previous.safetensors",
                    best = "checkpoints/best.safetensors";
  for (const std::string& file : {last, previous, best}) {
    expect_found(file, [&](const fs::path& run) { flip(run / file, 400'000); });
    expect_found(file, [&](const fs::path& run) {
      fs::copy_file(work_ / "other" / file, run / file, fs::copy_options::overwrite_existing);
    });
  }
  expect_found(last, Status::missing, [&](const fs::path& run) { fs::remove(run / last); });
  expect_found(best, Status::missing, [&](const fs::path& run) { fs::remove(run / best); });
  expect_found(last, Status::missing, [&](const fs::path& run) {
    fs::remove(run / last);
    fs::remove(run / previous);
  });
}

TEST_F(Remedies, OfASummary) {
  const auto edited = [&](const std::function<void(Json&)>& edit) {
    expect_found("summary.json", [&](const fs::path& run) { change_json(run / "summary.json", edit); });
  };
  edited([](Json& json) { json["last"]["top1"] = json["metrics"]["top1"]["last"] = 99; });
  edited([](Json& json) { json["best"]["top1"] = json["metrics"]["top1"]["best"] = 99; });
  edited([](Json& json) { json["metrics"]["top1"]["best"] = 99; });
  edited([](Json& json) { json["weights_hash"] = "0123456789abcdef"; });
  edited([](Json& json) { json["seed"] = 4; });
  edited([](Json& json) { json["views"] = 4; });
  edited([](Json& json) { json["best_by"] = "validation"; });
  edited([](Json& json) { json["epochs_done"] = 1; });
  expect_found("summary.json", [](const fs::path& run) { take_seal(run / "summary.json"); });
  expect_found("summary.json",
               [](const fs::path& run) { change(run / "summary.json", "\"epochs\": 2", "\"epochs\": 3"); });
  expect_found("summary.json", Status::missing,
               [](const fs::path& run) { fs::remove(run / "summary.json"); });
}

TEST_F(Remedies, OfMetrics) {
  expect_found("metrics.csv", [](const fs::path& run) { change(run / "metrics.csv", "\n1,", "\n1,1"); });
  expect_found("metrics.csv", [](const fs::path& run) { change(run / "metrics.csv", "epoch", "epoc"); });
  expect_found("metrics.csv", Status::missing, [](const fs::path& run) { fs::remove(run / "metrics.csv"); });
}

// They are lost, but the command is known that made them.
TEST_F(Remedies, OfSettings) {
  expect_found("config.toml",
               [](const fs::path& run) { change(run / "config.toml", "seed = 3", "seed = 7"); });
  expect_found("config.toml",
               [](const fs::path& run) { change_settings(run / "config.toml", "seed = 3", "seed = 7"); });
  expect_found("config.toml", [](const fs::path& run) {
    change_settings(run / "config.toml", "model = \"resnet8\"", "model = \"resnet14\"");
  });
  expect_found("config.toml", Status::missing, [](const fs::path& run) { fs::remove(run / "config.toml"); });
  fs::remove(work_ / "w/config.toml");
  fs::remove(work_ / "w/env.json");
  for (const CheckedFile& file : wrong_in(work_ / "w")) EXPECT_EQ(file.remedy, "") << file.path;
  EXPECT_EQ(run({"check", "w"}, work_).code, 8);
}

// Of a run that goes on it is written anew; of one that has ended nobody can say any more how it was made.
TEST_F(Remedies, OfAnEnvironment) {
  const auto forged = [](Json& json) { json["host"] = "elsewhere", json["data_hash"] = "1"; };
  const std::vector<std::function<void(const fs::path&)>> harms = {
      [](const fs::path& file) { change(file, "\"seed\": 3", "\"seed\": 4"); },
      [&](const fs::path& file) { change_json(file, forged), take_seal(file); },
      [&](const fs::path& file) { change_json(file, forged); }};
  for (const auto& harm : harms) {
    fs::remove_all(work_ / "w");
    fs::copy(work_ / "whole", work_ / "w", fs::copy_options::recursive);
    harm(work_ / "w/env.json");
    const std::vector<CheckedFile> wrong = wrong_in(work_ / "w");
    ASSERT_EQ(wrong.size(), 1u) << text_of(wrong);
    EXPECT_EQ(wrong[0].path, work_ / "w/env.json");
  }
  Program killed(training("begun", {"--epochs", "400", "--set", "checkpoint_minutes=0"}), work_.path());
  ASSERT_TRUE(killed.wait_until([&] { return fs::exists(RunFolder::previous_of(work_ / "begun")); }));
  killed.signal(SIGTERM);
  killed.wait();
  change_settings(work_ / "begun/config.toml", "epochs = 400", "epochs = 30");
  const std::vector<CheckedFile> before = wrong_in(work_ / "begun");
  ASSERT_TRUE(before.empty()) << text_of(before);
  change(work_ / "begun/env.json", "\"seed\": 1", "\"seed\": 4");
  expect_mended(work_, "begun", Status::damaged, "env.json");
}

// Of a run that was killed before its first checkpoint.
TEST_F(Remedies, OfABeginning) {
  const auto begin = [&] {
    fs::remove_all(work_ / "w");
    fs::copy(work_ / "whole", work_ / "w", fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(work_ / "w/checkpoints")) fs::remove(entry);
    change_json(work_ / "w/summary.json", [](Json& json) {
      json["status"] = "running", json["weights_hash"] = "", json["epochs_done"] = 0;
      json["best"] = json["last"] = nullptr;
      for (auto& [name, metric] : json["metrics"].items()) metric["best"] = metric["last"] = nullptr;
    });
    const std::string metrics = content_of(work_ / "w/metrics.csv");
    write_file(work_ / "w/metrics.csv", metrics.substr(0, metrics.find('\n', metrics.find('\n') + 1) + 1));
    const std::vector<CheckedFile> wrong = wrong_in(work_ / "w");
    ASSERT_TRUE(wrong.empty()) << text_of(wrong);
  };
  for (const std::string file : {"summary.json", "metrics.csv"}) {
    SCOPED_TRACE(file);
    begin();
    flip(work_ / "w" / file, 2);
    expect_mended(work_, "w", Status::damaged, file);
    EXPECT_EQ(hash_in(work_ / "w"), hash_);
  }
}

// As eval, report and --resume see a run, check sees it.
TEST_F(Remedies, WhatOtherCommandsRefuseIsFound) {
  const std::vector<std::function<void(const fs::path&)>> harms = {
      [](const fs::path& run) { take_seal(run / "summary.json"); },
      [](const fs::path& run) {
        change_json(run / "summary.json", [](Json& json) { json["best"]["top1"] = 99; });
      },
      [&](const fs::path& run) {
        fs::copy_file(RunFolder::best_of(work_ / "other"), RunFolder::best_of(run),
                      fs::copy_options::overwrite_existing);
      },
      [](const fs::path& run) { flip(RunFolder::last_of(run), 400'000); },
      [](const fs::path& run) { change_settings(run / "config.toml", "batch = 16", "batch = 8"); },
      [](const fs::path& run) { fs::remove(run / "config.toml"); }};
  for (size_t i = 0; i < harms.size(); ++i) {
    SCOPED_TRACE(i);
    fs::remove_all(work_ / "w");
    fs::copy(work_ / "whole", work_ / "w", fs::copy_options::recursive);
    harms[i](work_ / "w");
    EXPECT_EQ(run({"check", "w"}, work_).code, 8);
    bool refused = false;
    for (const Strings& command :
         {Strings{"eval", "--weights", "w"}, Strings{"eval", "--weights", "w:best"},
          Strings{"report", "w", "--no-eval", "--out", "page"}, Strings{"train", "--resume", "w"}})
      refused = run(command, work_).code != 0 || refused;
    EXPECT_TRUE(refused);
  }
}

TEST(RemediesOfTuning, TheChoicesAreThoseOfTheCheckpoint) {
  const TempFolder work;
  succeed(training("t", {"--tune"}), work);
  ASSERT_TRUE(wrong_in(work / "t").empty()) << text_of(wrong_in(work / "t"));
  const std::string whole = content_of(work / "t/convolutions.txt");
  fs::remove(work / "t/convolutions.txt");
  ASSERT_EQ(wrong_in(work / "t").size(), 1u);
  EXPECT_EQ(wrong_in(work / "t")[0].status, Status::missing);
  write_file(work / "t/convolutions.txt", replaced(whole, "forward", "backward"));
  ASSERT_EQ(wrong_in(work / "t").size(), 1u);
  expect_contains(wrong_in(work / "t")[0].path.string(), "convolutions.txt");
}

// Studies and seeds

class Studies : public ::testing::Test {
 protected:
  void SetUp() override {
    work_.write("study.toml",
                "title = \"T\"\nseeds = 1\n[settings]\nepochs = 1\nbatch = 16\n[settings.data]\nspec = "
                "\"synthetic:train=32,test=16\"\n[teacher]\nmodel = \"resnet8\"\n[student]\nmodel = "
                "\"resnet8\"\n[[methods]]\nname = \"ce\"\n[[methods]]\nname = \"kd\"\n");
    succeed({"compare", "study.toml", "--out", "s"}, work_);
    ASSERT_TRUE(wrong_in(work_ / "s").empty()) << text_of(wrong_in(work_ / "s"));
  }
  TempFolder work_;
};

TEST_F(Studies, WhatAStudyLacks) {
  fs::remove_all(work_ / "s/kd");
  expect_mended(work_, "s", Status::missing, "kd/seed-1");
  fs::remove_all(work_ / "s/teacher");
  expect_mended(work_, "s", Status::missing, "teacher");
  fs::remove(work_ / "s/ce/seed-1/config.toml");
  EXPECT_EQ(run({"check", "s/ce/seed-1"}, work_).code, 8);
  expect_mended(work_, "s", Status::missing, "ce/seed-1/config.toml");
  // From elsewhere the command begins with going where it was typed.
  fs::remove(work_ / "s/ce/seed-1/config.toml");
  work_.write("sub/file", "");
  const Json said = Json::parse(Program({"check", "../s/ce/seed-1", "--json"}, work_ / "sub").wait().out);
  const std::string remedy = said["files"][0]["remedy"];
  expect_contains(remedy, "rm -r ../s/ce/seed-1 && cd " + fs::canonical(work_.path()).string());
  EXPECT_EQ(typed("cd sub && " + remedy, work_), 0);
  EXPECT_TRUE(wrong_in(work_ / "s").empty()) << text_of(wrong_in(work_ / "s"));
  flip(work_ / "s/kd/seed-1/config.toml", 40);
  expect_mended(work_, "s", Status::damaged, "kd/seed-1/config.toml");
  fs::remove(work_ / "s/results.json");
  EXPECT_EQ(check_path(work_ / "s").kind, "study");
  expect_mended(work_, "s", Status::missing, "results.json");
  flip(work_ / "s/results.json", 40);
  expect_mended(work_, "s", Status::damaged, "results.json");
}

TEST_F(Studies, WhatIsNotRunYet) {
  succeed({"compare", "study.toml", "--out", "part", "--methods", "ce"}, work_);
  EXPECT_TRUE(wrong_in(work_ / "part").empty()) << "what was left out is not missing";
  Program stopped({"compare", "study.toml", "--out", "half", "--epochs", "300"}, work_.path());
  ASSERT_TRUE(stopped.wait_until([&] { return RunFolder::has_checkpoint(work_ / "half/ce/seed-1"); }));
  stopped.signal(SIGTERM);
  stopped.wait();
  const std::vector<CheckedFile> wrong = wrong_in(work_ / "half");
  ASSERT_EQ(wrong.size(), 2u) << text_of(wrong);
  for (const CheckedFile& file : wrong) {
    EXPECT_EQ(file.status, Status::missing);
    EXPECT_EQ(file.reason, "is not run yet");
    expect_contains(file.remedy, "retort compare study.toml --epochs 300 --out ");
  }
}

// A study that was published is read again.
TEST_F(Studies, AReport) {
  succeed({"report", "s", "--no-eval"}, work_);
  const fs::path report = work_ / "s/report.json", published = work_ / "pub/report.json";
  change_json(report, [](Json&) {});
  fs::create_directory(work_ / "pub");
  fs::copy_file(report, published);
  EXPECT_EQ(check_path(work_ / "pub").kind, "report");
  EXPECT_EQ(check_path(work_ / "pub").files.at(0).status, Status::ok);
  EXPECT_EQ(succeed({"report", "pub", "--out", "page"}, work_).out.find("unbound"), std::string::npos);

  take_seal(published);
  EXPECT_EQ(check_path(work_ / "pub").files.at(0).status, Status::unbound);
  expect_contains(succeed({"report", "pub", "--out", "page"}, work_).out,
                  "unbound: results of a report.json");

  fs::copy_file(report, published, fs::copy_options::overwrite_existing);
  for (const fs::path& file : {report, published}) change(file, "\"top1\": ", "\"top1\": 1");
  EXPECT_EQ(check_path(work_ / "pub").files.at(0).status, Status::damaged);
  expect_contains(failure(3, {"report", "pub", "--out", "page"}, work_), "pub/report.json");
  EXPECT_EQ(run({"check", "pub"}, work_).code, 8);
  expect_mended(work_, "s", Status::damaged, "report.json");
}

TEST(RemediesOfSeeds, EachIsThere) {
  const TempFolder work;
  succeed(training("q", {"--seeds", "2"}), work);
  succeed(training("other", {"--model", "vgg8", "--seeds", "2"}), work);
  EXPECT_TRUE(wrong_in(work / "q").empty());
  fs::remove_all(work / "q/seed-2");
  expect_mended(work, "q", Status::missing, "seed-2");
  fs::remove(work / "q/seed-1/config.toml");
  expect_mended(work, "q", Status::missing, "seed-1/config.toml");
  fs::copy_file(work / "other/seeds.toml", work / "q/seeds.toml", fs::copy_options::overwrite_existing);
  expect_mended(work, "q", Status::damaged, "seeds.toml");
  flip(work / "other/seeds.toml", 40);
  expect_mended(work, "other", Status::damaged, "seeds.toml");
}

}  // namespace
}  // namespace retort
