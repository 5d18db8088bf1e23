// What `retort check` says of sound, damaged and incomplete files.
#include "distill/study/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "datasets/readers/digest_lines.h"
#include "datasets/readers/listing_cache.h"
#include "distill/study/check_cache.h"
#include "engine/base/cache_folder.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using Status = CheckedFile::Status;
using namespace testing;

std::vector<std::string> training(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> all = {"train",    "--model", "resnet8", "--data", "synthetic:train=32,test=16",
                                  "--epochs", "2",       "--batch", "16",     "--out",
                                  out};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

class Check : public ::testing::Test {
 protected:
  void SetUp() override {
    const Outcome outcome = run(training("run"), work_);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  CheckedFile found(const std::string& name) const {
    const CheckResult result = check_path(work_ / "run");
    for (const CheckedFile& file : result.files)
      if (file.path == work_ / ("run/" + name)) return file;
    ADD_FAILURE() << name << " is not looked at";
    return {};
  }

  void damage(const std::string& name, size_t at) const {
    std::string content = content_of(work_ / ("run/" + name));
    ASSERT_LT(at, content.size());
    content[at] ^= 1;
    work_.write("run/" + name, content);
  }

  TempFolder work_;
};

TEST_F(Check, AFinishedRunHolds) {
  const CheckResult result = check_path(work_ / "run");
  EXPECT_EQ(result.kind, "run");
  EXPECT_TRUE(result.ok());
  for (const std::string name : {"last", "previous", "best"})
    EXPECT_EQ(found("checkpoints/" + name + ".safetensors").status, Status::ok) << name;
  const Outcome outcome = run({"check", "run", "--json"}, work_);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("kind"), "run");
  EXPECT_EQ(json.at("ok"), true);
  EXPECT_EQ(json.at("files").size(), result.files.size());
  EXPECT_EQ(json["files"][0].at("path"), "run/config.toml");
}

TEST_F(Check, ADamagedCheckpointIsNamedWithTheCommandThatHelps) {
  damage("checkpoints/last.safetensors", 400'000);
  const CheckedFile file = found("checkpoints/last.safetensors");
  EXPECT_EQ(file.status, Status::damaged);
  expect_contains(file.reason, "hash");
  expect_contains(file.remedy, "retort train --resume ");
  const Outcome outcome = run({"check", "run"}, work_);
  EXPECT_EQ(outcome.code, 8);
  expect_contains(outcome.out, "damaged  run/checkpoints/last.safetensors: ");
  expect_contains(outcome.out, "retort train --resume run\n");
}

TEST_F(Check, WhatContradictsTheCheckpointIsDamaged) {
  std::string summary = content_of(work_ / "run/summary.json");
  const size_t at = summary.find("\"weights_hash\": \"") + 17;
  summary[at] = summary[at] == 'a' ? 'b' : 'a';
  work_.write("run/summary.json", summary);
  EXPECT_FALSE(check_path(work_ / "run").ok());
}

// A run could not go on: another thing stands where it has its lock or a folder.
TEST_F(Check, WhatStandsInTheWayIsNamed) {
  fs::remove(work_ / "run/lock");
  fs::create_directory(work_ / "run/lock");
  EXPECT_EQ(found("lock").status, Status::damaged);
  EXPECT_EQ(found("lock").remedy, "rm -r " + (work_ / "run/lock").string() + " && retort train --resume " +
                                      (work_ / "run").string());
  fs::remove(work_ / "run/lock");
  fs::create_symlink("elsewhere", work_ / "run/lock");
  EXPECT_EQ(found("lock").status, Status::damaged);
  fs::remove(work_ / "run/lock");
  fs::remove_all(work_ / "run/tb");
  work_.write("run/tb", "");
  EXPECT_EQ(found("tb").status, Status::damaged);
  EXPECT_NE(run({"train", "--resume", "run"}, work_).code, 0);
  fs::remove(work_ / "run/tb");
  EXPECT_TRUE(check_path(work_ / "run").ok()) << "a lock or a folder that is missing is made";
}

// Nothing but the summary is left that says what came out, and its hash is anybody's to write.
TEST_F(Check, ARunWithoutCheckpointsIsShownWithANote) {
  fs::remove_all(work_ / "run/checkpoints");
  const Outcome outcome = run({"ls", "run"}, work_);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.err, "what summary.json says is held to nothing");
}

// Every file of a run has something by which damage shows.
TEST_F(Check, EveryFileIsBound) {
  for (const CheckedFile& file : check_path(work_ / "run").files)
    EXPECT_EQ(file.status, Status::ok) << file.path;
  const std::vector<std::pair<std::string, std::string>> digits = {
      {"config.toml", "seed = 1"}, {"summary.json", "\"epochs\": 2"}, {"env.json", "\"seed\": 1"}};
  for (const auto& [name, text] : digits) {
    const std::string whole = content_of(work_ / ("run/" + name));
    damage(name, whole.find(text) + text.size() - 1);
    EXPECT_EQ(found(name).status, Status::damaged) << name;
    work_.write("run/" + name, whole);
  }
}

// Of a folder of seeds, a study and a report, each file that is read again.
TEST_F(Check, FilesBesideRunsAreBound) {
  ASSERT_EQ(run({"train", "--model", "resnet8", "--data", "synthetic:train=32,test=16", "--epochs", "1",
                 "--batch", "16", "--seeds", "2", "--out", "seeds"},
                work_)
                .code,
            0);
  work_.write("study.toml",
              "title = \"T\"\nseeds = 1\n[settings]\nepochs = 1\nbatch = 16\n[settings.data]\nspec = "
              "\"synthetic:train=32,test=16\"\n[teacher]\nmodel = \"resnet8\"\n[student]\nmodel = "
              "\"resnet8\"\n[[methods]]\nname = \"kd\"\n");
  ASSERT_EQ(run({"compare", "study.toml", "--out", "study"}, work_).code, 0);
  ASSERT_EQ(run({"report", "study", "--threads", "1"}, work_).code, 0);
  const auto status_of = [&](const std::string& folder, const std::string& name) {
    for (const CheckedFile& file : check_path(work_ / folder).files)
      if (file.path == work_ / (folder + "/" + name)) return file.status;
    ADD_FAILURE() << name << " is not looked at";
    return Status::missing;
  };
  for (const auto& [folder, name] : std::vector<std::pair<std::string, std::string>>{
           {"seeds", "seeds.toml"}, {"study", "results.json"}, {"study", "report-cache.json"}}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(status_of(folder, name), Status::ok);
    const std::string whole = content_of(work_ / (folder + "/" + name));
    std::string changed = whole;
    const size_t digit = whole.find_first_of("123456789", whole.size() / 3);
    ASSERT_NE(digit, whole.npos);
    changed[digit] ^= 1;
    work_.write(folder + "/" + name, changed);
    EXPECT_EQ(status_of(folder, name), Status::damaged);
    EXPECT_EQ(run({"check", folder}, work_).code, 8);
    work_.write(folder + "/" + name, whole);
  }
  // A study whose list is damaged is known by its runs.
  std::string list = content_of(work_ / "study/results.json");
  list[list.find("\"kd\"") + 1] = 'x';
  work_.write("study/results.json", list);
  const Outcome shown = run({"report", "study", "--threads", "1"}, work_);
  EXPECT_EQ(shown.code, 0) << shown.err;
  expect_contains(shown.out + shown.err, "results.json");
  EXPECT_EQ((shown.out + shown.err).find("xd"), std::string::npos);
}

TEST_F(Check, WhatIsMissingIsNamed) {
  fs::remove(work_ / "run/metrics.csv");
  EXPECT_EQ(found("metrics.csv").status, Status::missing);
  fs::remove(work_ / "run/checkpoints/best.safetensors");
  EXPECT_EQ(found("checkpoints/best.safetensors").status, Status::missing);
  fs::remove(work_ / "run/summary.json");
  EXPECT_EQ(found("summary.json").status, Status::missing);
}

TEST_F(Check, AnEpochThatIsMissingInTheMetrics) {
  std::string metrics = content_of(work_ / "run/metrics.csv");
  const size_t first = metrics.find('\n') + 1;
  metrics.erase(first, metrics.find('\n', first) + 1 - first);
  work_.write("run/metrics.csv", metrics);
  EXPECT_EQ(found("metrics.csv").status, Status::damaged);
}

TEST_F(Check, FoldersOfRunsAndSeeds) {
  EXPECT_EQ(check_path(work_.path()).kind, "runs");
  ASSERT_EQ(run(training("two", {"--seeds", "2"}), work_).code, 0);
  EXPECT_EQ(check_path(work_ / "two").kind, "seeds");
  EXPECT_TRUE(check_path(work_ / "two").ok());
  const std::string name = "two/seed-2/checkpoints/last.safetensors";
  work_.write(name, content_of(work_ / name).substr(0, 1000));
  EXPECT_EQ(run({"check", "two"}, work_).code, 8);
}

TEST_F(Check, Files) {
  ASSERT_EQ(run({"export", "run", "--to", "safetensors", "-o", "w.safetensors"}, work_).code, 0);
  ASSERT_EQ(run({"export", "run", "--to", "infer", "-o", "n.retort"}, work_).code, 0);
  ASSERT_EQ(run({"export", "run", "--to", "onnx", "-o", "n.onnx"}, work_).code, 0);
  EXPECT_EQ(check_path(work_ / "w.safetensors").files.at(0).status, Status::ok);
  EXPECT_EQ(check_path(work_ / "n.retort").kind, "network");
  EXPECT_TRUE(check_path(work_ / "n.retort").ok());
  EXPECT_EQ(check_path(work_ / "n.onnx").kind, "network");
  EXPECT_EQ(check_path(work_ / "n.onnx").files.at(0).status, Status::ok);
  for (const std::string name : {"w.safetensors", "n.retort", "n.onnx"}) {
    std::string content = content_of(work_ / name);
    content[content.size() / 2] ^= 4;
    work_.write(name, content);
    EXPECT_EQ(check_path(work_ / name).files.at(0).status, Status::damaged) << name;
    EXPECT_EQ(run({"check", name}, work_).code, 8) << name;
  }
  const std::string header = R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})";
  std::string plain(8, '\0');
  plain[0] = char(header.size());
  work_.write("plain.safetensors", plain + header + std::string(8, '\1'));
  EXPECT_EQ(check_path(work_ / "plain.safetensors").files.at(0).status, Status::unbound);
  EXPECT_EQ(run({"check", "plain.safetensors"}, work_).code, 0);
}

TEST_F(Check, WhatIsNothingOfThese) {
  fs::create_directory(work_ / "empty");
  work_.write("text", "no weights");
  for (const std::string name : {"nowhere", "empty", "text"})
    EXPECT_EQ(run({"check", name}, work_).code, 3) << name;
  EXPECT_EQ(run({"check"}, work_).code, 2);
  EXPECT_EQ(run({"check", "run", "run"}, work_).code, 2);
}

TEST_F(Check, TheTablesOfACache) {
  const fs::path cache = work_ / "cache";
  ASSERT_EQ(run({"distill", "--teacher", "run", "--student", "resnet8", "--method", "kd", "--epochs", "1",
                 "--batch", "16", "--teacher-source", "table", "--set", "teacher_table.folder=cache", "--out",
                 "student"},
                work_)
                .code,
            0);
  const CheckResult result = check_cache(cache);
  ASSERT_EQ(result.files.size(), 2u);
  for (const CheckedFile& file : result.files) EXPECT_EQ(file.status, Status::ok) << file.path;
  const fs::path table = result.files[0].path.parent_path(), rows = table / "rows", index = table / "index";
  const std::string all_rows = content_of(rows), whole = content_of(index);
  // Exactly this file is wrong; the remedy is for all of them, and the cache holds then.
  const auto expect_found = [&](const fs::path& file, Status status, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
    if (content.empty() && status == Status::missing) fs::remove(file);
    const CheckResult found = check_cache(cache);
    for (const CheckedFile& one : found.files)
      EXPECT_EQ(one.status, one.path == file ? status : Status::ok) << one.path << " " << one.reason;
    EXPECT_EQ(found.files[0].remedy + found.files[1].remedy, "rm -r " + table.string());
    EXPECT_EQ(run({"check", "--cache", "cache"}, work_).code, 8);
    std::ofstream(file, std::ios::binary) << (file == rows ? all_rows : whole);
    EXPECT_TRUE(check_cache(cache).ok());
  };
  std::string content = all_rows;
  content[content.size() / 2] ^= 1;
  expect_found(rows, Status::damaged, content);
  expect_found(rows, Status::damaged, all_rows.substr(0, all_rows.size() / 32 * 31));  // of 32, whole ones
  const size_t entry = whole.find_first_not_of('\0') / 8 * 8;
  for (const size_t byte : {0, 2, 4, 7}) {
    content = whole;
    content[entry + byte] ^= 64;
    expect_found(index, Status::damaged, content);
  }
  content = whole;
  content[entry + 8 == content.size() ? entry - 8 : entry + 8] ^= 1;  // where nothing was, or another
  expect_found(index, Status::damaged, content);
  expect_found(index, Status::damaged, "");
  expect_found(index, Status::missing, "");
  expect_found(index, Status::damaged, std::string(whole.size(), '\0'));
  expect_found(index, Status::damaged, "some text");
  // Of an older program: its rows vouch for themselves.
  std::string old;
  for (size_t i = 0; i < whole.size(); i += 8) old += whole.substr(i, 4);
  std::ofstream(index, std::ios::binary) << old;
  EXPECT_EQ(check_cache(cache).files[1].status, Status::unbound);
  old[entry / 2] ^= 1;
  std::ofstream(index, std::ios::binary) << old;
  EXPECT_EQ(check_cache(cache).files[1].status, Status::damaged);
  EXPECT_EQ(std::system(check_cache(cache).files[1].remedy.c_str()), 0);
  EXPECT_TRUE(check_cache(cache).ok());
  expect_fault(Fault::input, "no cache folder", [&] { check_cache(work_ / "nowhere"); });
}

TEST(CheckCache, WhatElseIsKept) {
  const TempFolder work;
  FolderListing listing;
  listing.class_names = {"cat", "dog"};
  listing.train = {{.path = "train/cat/1.png", .label = 0, .bytes = 100}};
  const std::string head = "retort cuDNN plan 1\ncuDNN 9\nconvolution\n", plan = "{\n\"a\": 1\n}";
  const std::string choices = "forward 1: direct (1 us)\n", machine = "a machine";
  const std::vector<std::pair<std::string, std::string>> kept = {
      {"cache/folders/0123456789abcdef", listing_text(listing)},
      {"cache/folders/123-stb-numbers", with_digest("0.5 0.5 0.5 0.25 0.25 0.25 100\n")},
      {"cache/cudnn-plans/" + digest_of(head) + ".plan", head + digest_of(plan) + "\n" + plan},
      {"cache/convolutions/" + digest_of(machine) + ".txt",
       "retort convolutions 1\n" + machine + "\n" + digest_of(choices) + "\n" + choices}};
  for (const auto& [name, content] : kept) work.write(name, content);
  work.write("cache/cudnn-plans/candidates.csv", "never read");
  ASSERT_EQ(check_cache(work / "cache").files.size(), kept.size());
  for (const auto& [name, content] : kept) {
    SCOPED_TRACE(name);
    const auto found = [&, place = work / name] {
      for (const CheckedFile& file : check_cache(work / "cache").files)
        if (file.path == place) return file;
      ADD_FAILURE() << "is not looked at";
      return CheckedFile{};
    };
    EXPECT_EQ(found().status, Status::ok) << found().reason;
    for (const size_t at : {size_t{3}, content.size() / 2, content.size() - 2}) {
      std::string changed = content;
      changed[at] = changed[at] == 'x' ? 'y' : 'x';
      work.write(name, changed);
      EXPECT_EQ(found().status, Status::damaged) << at;
    }
    const std::string remedy = found().remedy;
    EXPECT_EQ(remedy, "rm " + (work / name).string());
    EXPECT_EQ(std::system(remedy.c_str()), 0);
    EXPECT_TRUE(check_cache(work / "cache").ok());
  }
}

}  // namespace
}  // namespace retort
