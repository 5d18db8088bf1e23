// The files of a run's folder vouch for each other: what was damaged or changed is made again from the
// checkpoint, or refused by name. Folders of 0.1.0, which cannot, go on as they did.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_folder.h"
#include "engine/base/atomic_file.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

// A finished run "t" of two epochs; `--resume t --epochs 3` gives it something to do.
void make_run(const TempFolder& work) {
  succeed({"train", "--model", "resnet8", "--data", "synthetic:train=96,test=48", "--epochs", "2", "--batch",
           "32", "--threads", "1", "--out", "t"},
          work);
}

const Strings goes_on = {"train", "--resume", "t", "--epochs", "3"};

void change(const fs::path& file, const std::string& from, const std::string& to) {
  write_file(file, replaced(content_of(file), from, to));
}

// metrics.csv without its seconds.
std::string epochs_of(const fs::path& folder) {
  MetricsTable table = read_metrics(folder / "metrics.csv");
  for (EpochMetrics& row : table.rows) row.seconds = 0;
  return metrics_text(table);
}

TEST(RunBindings, ChangedSettingsAreRefused) {
  const TempFolder work;
  make_run(work);
  const std::string config = content_of(work / "t/config.toml");
  expect_contains(config, "\n# retort format 2, XXH3 ");
  for (const auto& [from, to] :
       std::vector<std::pair<const char*, const char*>>{{"lr = 0.05", "lr = 0.15"},
                                                        {"seed = 1", "seed = 3"},
                                                        {"batch = 32", "batch = 16"},
                                                        {"epochs = 2", "epochs = 9"},
                                                        {"threads = 1", "threads = 2"},
                                                        {"XXH3 ", "XXH3 0"},
                                                        {"# retort", "# retorT"}}) {
    SCOPED_TRACE(to);
    write_file(work / "t/config.toml", replaced(config, from, to));
    expect_contains(failure(3, goes_on, work), "config.toml");
    expect_contains(failure(3, {"eval", "--weights", "t"}, work), "config.toml");
  }
  // Cut at any line's end: what is missing would be defaults.
  for (size_t end = config.find('\n'); end + 1 < config.size(); end = config.find('\n', end + 1)) {
    write_file(work / "t/config.toml", config.substr(0, end + 1));
    ASSERT_EQ(run({"train", "--resume", "t"}, work).code, 3) << end;
  }
  // One that is whole, but of another run.
  succeed({"train", "--model", "resnet8", "--data", "synthetic:train=96,test=48", "--epochs", "2", "--batch",
           "32", "--threads", "1", "--lr", "0.15", "--out", "o"},
          work);
  fs::copy_file(work / "o/config.toml", work / "t/config.toml", fs::copy_options::overwrite_existing);
  expect_contains(failure(3, goes_on, work), "is not of this run");
  write_file(work / "t/config.toml", config);
  succeed(goes_on, work);
}

TEST(RunBindings, ChangedResultsAreRefused) {
  const TempFolder work;
  make_run(work);
  const std::string summary = content_of(work / "t/summary.json");
  const json there = json::parse(summary);
  const std::string top1 = there["last"]["top1"].dump();
  write_file(work / "t/summary.json", replaced(summary, "\"top1\": " + top1, "\"top1\": 99.5"));
  // The checkpoint knows better.
  const Outcome outcome = succeed({"train", "--resume", "t", "--json"}, work);
  expect_contains(outcome.err, "summary.json");
  EXPECT_EQ(json::parse(outcome.out)["last"], there["last"]["top1"]);
  for (const char* broken : {"", "{", "[]", "{}"}) {
    write_file(work / "t/summary.json", broken);
    EXPECT_EQ(json::parse(succeed({"train", "--resume", "t", "--json"}, work).out)["last"],
              there["last"]["top1"]);
  }
  fs::remove(work / "t/summary.json");
  EXPECT_EQ(json::parse(succeed({"train", "--resume", "t", "--json"}, work).out)["last"],
            there["last"]["top1"]);
}

TEST(RunBindings, LostEpochsComeBackFromTheCheckpoint) {
  const TempFolder work, reference;
  make_run(work);
  make_run(reference);
  const std::string rows = content_of(work / "t/metrics.csv");
  succeed(goes_on, reference);
  const std::string expected = epochs_of(reference / "t"), hash = hash_in(reference / "t");
  fs::copy(work / "t", work / "whole", fs::copy_options::recursive);
  const size_t first = rows.find('\n') + 1, second = rows.find('\n', first) + 1;
  for (const std::string& damaged :
       {rows.substr(0, first), rows.substr(0, first) + rows.substr(second), rows.substr(0, second + 5),
        replaced(rows, "\n2,", "\n7,"), std::string("no table"), std::string()}) {
    SCOPED_TRACE(damaged);
    fs::remove_all(work / "t");
    fs::copy(work / "whole", work / "t", fs::copy_options::recursive);
    write_file(work / "t/metrics.csv", damaged);
    expect_contains(succeed(goes_on, work).err, "metrics.csv");
    EXPECT_EQ(epochs_of(work / "t"), expected);
    EXPECT_EQ(hash_in(work / "t"), hash);
  }
}

// Counters are input: a hash is checked only where there is one, and anybody can make a hash.
TEST(RunBindings, CountersOutOfTheirRange) {
  const TempFolder work;
  make_run(work);
  fs::remove(RunFolder::previous_of(work / "t"));
  const SafeTensors file = read_safetensors(RunFolder::last_of(work / "t"));
  std::vector<TensorView> tensors;
  for (const HostTensor& tensor : file.tensors) tensors.push_back(tensor.view());
  const json counters = json::parse(file.metadata.at("counters"));
  const auto with = [&](const char* key, const json& value) {
    json changed = counters;
    changed[key] = value;
    std::map<std::string, std::string> metadata = file.metadata;
    metadata["counters"] = changed.dump();
    write_safetensors(RunFolder::last_of(work / "t"), metadata, tensors);
  };
  const json result = counters["last"];
  const auto result_with = [&](const char* key, const json& value) {
    json changed = result;
    changed[key] = value;
    return changed;
  };
  const std::vector<std::pair<const char*, json>> wrong = {{"epoch", 0},
                                                           {"epoch", -1},
                                                           {"epoch", 1.5},
                                                           {"epoch", 2},
                                                           {"epoch", 1e300},
                                                           {"epoch", "3"},
                                                           {"epoch", nullptr},
                                                           {"batch", -3},
                                                           {"batch", 4e9},
                                                           {"batch", 0.5},
                                                           {"seconds", -1},
                                                           {"seconds", "x"},
                                                           {"epoch_seconds", -1},
                                                           {"best_score", 101},
                                                           {"loss", 1e308},
                                                           {"loss", nullptr},
                                                           {"top1", -1},
                                                           {"top1", 1},
                                                           {"top5", 1e30},
                                                           {"terms", 3},
                                                           {"terms", {1, "x"}},
                                                           {"best", 3},
                                                           {"best", json::object()},
                                                           {"terms", std::vector<double>(14, 1)},
                                                           {"terms", std::vector<double>(100000, 1)},
                                                           {"last", nullptr},
                                                           {"last", result_with("epoch", 1)},
                                                           {"last", result_with("top1", 100.5)},
                                                           {"best", result_with("epoch", 9)},
                                                           {"last", result_with("top5", -1)},
                                                           {"last", result_with("loss", "low")}};
  for (const auto& [key, value] : wrong) {
    SCOPED_TRACE(std::string(key) + " " + value.dump().substr(0, 60));
    with(key, value);
    const Outcome outcome = run(goes_on, work);
    EXPECT_EQ(outcome.code, 3) << outcome.err;
    expect_contains(outcome.err, "retort: ");
  }
  // As many terms as the method has: found in the first step, where the names are known.
  json changed = counters;
  changed["batch"] = 1;
  changed["terms"] = {1, 2, 3};
  std::map<std::string, std::string> metadata = file.metadata;
  metadata["counters"] = changed.dump();
  write_safetensors(RunFolder::last_of(work / "t"), metadata, tensors);
  const Outcome more_terms = run(goes_on, work);
  EXPECT_EQ(more_terms.code, 3);
  expect_contains(more_terms.err, "3 loss terms");
  with("seconds", 7);
  succeed(goes_on, work);
}

TEST(RunBindings, OtherFilesBesideTheCheckpoint) {
  const TempFolder work;
  make_run(work);
  // env.json is what a reader sees, not what the run goes on from.
  change(work / "t/env.json", "\"data_hash\": \"", "\"data_hash\": \"0");
  expect_contains(succeed(goes_on, work).err, "env.json");
  EXPECT_TRUE(json::parse(content_of(work / "t/env.json")).contains("xxh3"));
  // log, plots and events are never read.
  for (const char* file : {"log.txt", "plots/curves.svg"})
    write_file(work / "t" / file, std::string(100, '\0'));
  for (const auto& entry : fs::directory_iterator(work / "t/tb")) write_file(entry.path(), "junk");
  succeed({"train", "--resume", "t", "--epochs", "4"}, work);
}

TEST(RunBindings, SeedsOfAFolder) {
  const TempFolder work;
  succeed({"train", "--model", "resnet8", "--data", "synthetic:train=32,test=24", "--epochs", "1", "--seeds",
           "2", "--out", "s"},
          work);
  const std::string whole = content_of(work / "s/seeds.toml");
  const size_t seal = whole.rfind("# retort format");
  for (const char* count : {"0", "-1", "1001", "9223372036854775807", "1.5", "\"2\"", "[2]"}) {
    SCOPED_TRACE(count);
    // With and without a seal, as the older program wrote it.
    write_file(work / "s/seeds.toml", replaced(whole, "seeds = 2", std::string("seeds = ") + count));
    failure(3, {"train", "--resume", "s"}, work);
    write_file(work / "s/seeds.toml",
               replaced(whole.substr(0, seal), "seeds = 2", std::string("seeds = ") + count));
    failure(3, {"train", "--resume", "s"}, work);
  }
  // Cut at any line's end: what is missing would be defaults.
  for (size_t end = whole.find('\n'); end + 1 < whole.size(); end = whole.find('\n', end + 1)) {
    write_file(work / "s/seeds.toml", whole.substr(0, end + 1));
    ASSERT_EQ(run({"train", "--resume", "s"}, work).code, 3) << whole.substr(0, end + 1);
  }
  write_file(work / "s/seeds.toml", whole);
  succeed({"train", "--resume", "s"}, work);
  failure(2, {"train", "--model", "resnet8", "--seeds", "5000000000"}, work);
}

// A power cut in a run's first moments: names without content, and nothing else.
TEST(RunBindings, WhatAPowerCutLeavesOfTheFirstMoments) {
  const Strings command = {"train",    "--model", "resnet8",   "--data", "synthetic:train=32,test=24",
                           "--epochs", "1",       "--threads", "1",      "--out",
                           "t"};
  for (const Strings& more : {Strings{}, Strings{"--force"}}) {
    const TempFolder work;
    fs::create_directories(work / "t/checkpoints");
    write_file(work / "t/lock", "");
    Strings all = command;
    all.insert(all.end(), more.begin(), more.end());
    succeed(all, work);
  }
  // With its settings there it can be resumed: it begins.
  const TempFolder work, reference;
  succeed(command, reference);
  fs::create_directories(work / "t");
  write_file(work / "t/lock", "");
  fs::copy_file(reference / "t/config.toml", work / "t/config.toml");
  succeed({"train", "--resume", "t"}, work);
  EXPECT_EQ(hash_in(work / "t"), hash_in(reference / "t"));
}

TEST(RunBindings, WhatDoesNotBeginLeavesNoFolder) {
  const TempFolder work;
  for (const Strings& wrong : {Strings{"--device", "cuda"}, Strings{"--limit", "1000"}}) {
    Strings command = {"train", "--model", "resnet8",  "--data", "synthetic:train=32,test=24",
                       "--out", "t",       "--epochs", "1"};
    command.insert(command.end(), wrong.begin(), wrong.end());
    if (run(command, work).code == 0) continue;  // there is such a device
    EXPECT_FALSE(fs::exists(work / "t"));
    fs::create_directory(work / "t");
    EXPECT_NE(run(command, work).code, 0);
    EXPECT_TRUE(fs::is_empty(work / "t"));
    fs::remove(work / "t");
  }
}

// --- folders of 0.1.0 -------------------------------------------------------------------------------------

// Another processor may round otherwise; then only that it ends is held.
bool is_processor_of(const fs::path& folder) {
  const json environment = json::parse(content_of(folder / "env.json"));
  return !environment.contains("resumed") ||
         environment["devices"] == environment["resumed"].back()["devices"];
}

void unpack(const char* name, const TempFolder& work) {
  const std::string archive = testing::data_folder() + "/runs_0.1.0/" + name + ".tar.gz";
  const std::string command = "tar -C '" + work.path().string() + "' -xzf '" + archive + "' --no-same-owner";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(RunsOf010, AFinishedOneIsShownAndEvaluated) {
  const TempFolder work;
  unpack("finished", work);
  const Outcome again = succeed({"train", "--resume", "finished", "--json"}, work);
  expect_contains(again.err, "finished: unbound: made by 0.1.0");
  expect_contains(again.err, "the run is finished");
  EXPECT_EQ(json::parse(again.out)["weights_hash"], "0733911781889597");
  const Outcome evaluated = succeed({"eval", "--weights", "finished:best", "--json"}, work);
  expect_contains(evaluated.err, "unbound: made by 0.1.0");
  EXPECT_NEAR(json::parse(evaluated.out)["top1"].get<double>(), 100.0 / 24, 1e-9);
  expect_contains(succeed({"report", "finished", "--out", "page"}, work).out, "unbound: made by 0.1.0");
}

TEST(RunsOf010, AnUnfinishedOneEndsAtItsHash) {
  const TempFolder work;
  unpack("unfinished", work);
  const Outcome outcome = succeed({"distill", "--resume", "unfinished", "--json"}, work);
  expect_contains(outcome.err, "unfinished: unbound: made by 0.1.0");
  expect_contains(outcome.err, "resuming at epoch 5, batch 1");
  if (!is_processor_of(work / "unfinished")) GTEST_SKIP() << "another processor";
  EXPECT_EQ(json::parse(outcome.out)["weights_hash"], "c9e12dccf231dbf4");
  EXPECT_EQ(read_metrics(work / "unfinished/metrics.csv").rows.size(), 7u);
  // From now on it is bound.
  EXPECT_EQ(succeed({"distill", "--resume", "unfinished"}, work).err.find("unbound"), std::string::npos);
}

TEST(RunsOf010, ResultsThatTheCheckpointContradictsAreRefused) {
  const TempFolder work;
  unpack("finished", work);
  change(work / "finished/summary.json", "\"top1\": 4.1666", "\"top1\": 94.1666");
  expect_contains(failure(3, {"train", "--resume", "finished"}, work), "summary.json");
}

}  // namespace
}  // namespace retort
