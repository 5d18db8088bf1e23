// What is damaged, lost or another run's in a folder: made again by --resume, or refused by name with a way
// on.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "distill/run/checkpoint_record.h"
#include "distill/run/run_folder.h"
#include "engine/base/atomic_file.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/npy_pictures.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

const Strings drawn = {"--data", "synthetic:train=48,test=24", "--batch", "16", "--threads", "1"};

Strings training(const std::string& out, const std::string& epochs) {
  return Strings{"train", "--model", "resnet8", "--epochs", epochs, "--out", out} + drawn;
}

// One bit of the last tensor.
void flip(const fs::path& file) {
  std::string content = content_of(file);
  content[content.size() - 9] ^= 1;
  write_file(file, content);
}

// One of the header, whose hash then is another.
void flip_header(const fs::path& file) {
  std::string content = content_of(file);
  const size_t at = content.find("\"seconds\\\":");
  ASSERT_NE(at, std::string::npos);
  content[at + 1] ^= 1;
  write_file(file, content);
}

void copy_over(const fs::path& from, const fs::path& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

TEST(RunRepair, AFinishedRunGoesOnFromTheCheckpointBefore) {
  const TempFolder work;
  succeed(training("whole", "3"), work);
  const std::string hash = hash_in(work / "whole");
  const std::vector<std::function<void(const fs::path&)>> accidents = {
      flip, flip_header, [](const fs::path& file) { fs::remove(file); },
      [](const fs::path& file) { write_file(file, ""); }};
  for (const auto& happens : accidents) {
    SCOPED_TRACE(&happens - accidents.data());
    fs::remove_all(work / "t");
    fs::copy(work / "whole", work / "t", fs::copy_options::recursive);
    happens(RunFolder::last_of(work / "t"));
    EXPECT_EQ(run({"eval", "--weights", "t"}, work).code, 3);
    // Whoever only reads does not take it for finished where he cannot see that it is.
    EXPECT_EQ(run({"report", "t", "--out", "page"}, work).code, 0);
    const Outcome resumed = succeed({"train", "--resume", "t", "--json"}, work);
    EXPECT_EQ(hash_of(resumed), hash);
    expect_contains(resumed.err, "going on from the checkpoint before it");
    expect_contains(resumed.err, "resuming at epoch 3");
    // The damaged one has not become the one before: at no moment both were.
    for (const fs::path& file : {RunFolder::last_of(work / "t"), RunFolder::previous_of(work / "t")})
      EXPECT_NO_THROW(read_safetensors(file)) << file;
    expect_contains(succeed({"train", "--resume", "t"}, work).err, "the run is finished");
    succeed({"eval", "--weights", "t"}, work);
  }
}

// For a program that reads only what ls and diff print, too.
TEST(RunRepair, ListsSayWhatTheyTookFromTheCheckpointBefore) {
  const TempFolder work;
  succeed(training("t", "2"), work);
  const auto listed = [&](const Strings& words) { return json::parse(run(words, work).out); };
  EXPECT_FALSE(listed({"ls", ".", "--json"})["runs"][0].contains("notes"));
  flip_header(RunFolder::last_of(work / "t"));
  const json row = listed({"ls", ".", "--json"})["runs"][0], both = listed({"diff", "t", "t", "--json"});
  EXPECT_EQ(row["epochs_done"], 1);
  for (const json& said : {row, both}) {
    ASSERT_TRUE(said.contains("notes")) << said;
    expect_contains(said["notes"][0], "last.safetensors");
    expect_contains(said["notes"][0], "looking at the checkpoint before it");
  }
}

// One digit of the images' hash, and diff told of other images.
TEST(RunRepair, DiffBelievesNoDamagedEnvironment) {
  const TempFolder work;
  succeed(training("t", "1"), work);
  fs::copy(work / "t", work / "o", fs::copy_options::recursive);
  std::string content = content_of(work / "o/env.json");
  const size_t at = content.find("\"data_hash\": \"");
  ASSERT_NE(at, std::string::npos);
  content[at + 15] = content[at + 15] == '0' ? '1' : '0';
  for (const std::string& damaged : {content, content.substr(0, at), std::string()}) {
    work.write("o/env.json", damaged);
    const json said = json::parse(run({"diff", "t", "o", "--json"}, work).out);
    expect_contains(said["notes"].dump(), "o/env.json");
    expect_contains(said["notes"].dump(), "what it says is not compared");
  }
}

TEST(RunRepair, TheCheckpointBeforeIsMadeAgain) {
  const TempFolder work;
  succeed(training("t", "2"), work);
  succeed(training("o", "2") + Strings{"--seed", "5"}, work);
  const fs::path previous = RunFolder::previous_of(work / "t");
  const std::vector<std::function<void()>> accidents = {
      [&] { flip(previous); }, [&] { copy_over(RunFolder::previous_of(work / "o"), previous); }};
  for (const auto& happens : accidents) {
    happens();
    expect_contains(succeed({"train", "--resume", "t"}, work).err, "made again from last.safetensors");
    EXPECT_NO_THROW(check_of_run(work / "t", previous));
    EXPECT_EQ(content_of(previous), content_of(RunFolder::last_of(work / "t")));
  }
}

TEST(RunRepair, WithoutASoundCheckpointItSaysWhatCanBeDone) {
  const TempFolder work;
  succeed(training("whole", "2"), work);
  const auto lost = [](const fs::path& run) { fs::remove_all(run / "checkpoints"); };
  const auto both_damaged = [](const fs::path& run) {
    flip(RunFolder::last_of(run));
    flip_header(RunFolder::previous_of(run));
  };
  const auto one_damaged = [](const fs::path& run) {
    flip_header(RunFolder::last_of(run));
    fs::remove(RunFolder::previous_of(run));
  };
  const auto best_alone = [](const fs::path& run) {
    fs::remove(RunFolder::last_of(run));
    fs::remove(RunFolder::previous_of(run));
    fs::remove(run / "summary.json");
  };
  for (const auto& happens :
       std::vector<std::function<void(const fs::path&)>>{lost, both_damaged, one_damaged, best_alone}) {
    fs::remove_all(work / "t");
    fs::copy(work / "whole", work / "t", fs::copy_options::recursive);
    happens(work / "t");
    // Neither finished, nor begun anew without a word.
    for (const Strings& more : {Strings{}, Strings{"--epochs", "3"}}) {
      const std::string said = failure(3, Strings{"train", "--resume", "t"} + more, work);
      expect_contains(said, "cannot go on");
      expect_contains(said, "`retort train --config t/config.toml --out t --force` trains it anew");
    }
  }
  succeed({"train", "--config", "t/config.toml", "--out", "t", "--force"}, work);
  EXPECT_EQ(hash_in(work / "t"), hash_in(work / "whole"));
  // A kill before the first checkpoint leaves a row of metrics.csv at most: nothing is lost then.
  fs::remove_all(work / "t/checkpoints");
  fs::remove(work / "t/summary.json");
  const std::string rows = content_of(work / "t/metrics.csv");
  write_file(work / "t/metrics.csv", rows.substr(0, rows.find('\n', rows.find('\n') + 1) + 1));
  succeed({"train", "--resume", "t"}, work);
  EXPECT_EQ(hash_in(work / "t"), hash_in(work / "whole"));
}

TEST(RunRepair, AStudyLooksAtEveryByteOfAFinishedRun) {
  const TempFolder work;
  work.write(
      "study.toml",
      "title = \"T\"\nseeds = 1\n[settings]\nepochs = 2\nbatch = 16\nthreads = 1\n[settings.data]\nspec = "
      "\"synthetic:train=48,test=24\"\n[teacher]\nmodel = \"resnet8\"\n[student]\nmodel = "
      "\"resnet8\"\n[[methods]]\nname = \"kd\"\n");
  const Strings compare = {"compare", "study.toml", "--out", "s"};
  succeed(compare, work);
  std::vector<fs::path> runs;
  for (const auto& entry : fs::recursive_directory_iterator(work / "s"))
    if (entry.path().filename() == "config.toml") runs.push_back(entry.path().parent_path());
  ASSERT_EQ(runs.size(), 2u);
  for (const fs::path& folder : runs) {
    const std::string hash = hash_in(folder), last = content_of(RunFolder::last_of(folder));
    flip(RunFolder::last_of(folder));
    succeed(compare, work);
    EXPECT_NO_THROW(read_safetensors(RunFolder::last_of(folder)));
    EXPECT_EQ(hash_in(folder), hash);
    fs::remove(RunFolder::last_of(folder));
    succeed(compare, work);
    EXPECT_EQ(hash_in(folder), hash);
  }
  for (const auto& happens : std::vector<std::function<void()>>{
           [&] {
             write_file(RunFolder::last_of(runs[0]), ""), write_file(RunFolder::previous_of(runs[0]), "");
           },
           [&] { fs::remove_all(runs[0] / "checkpoints"); }}) {
    happens();
    const Outcome outcome = run(compare, work);
    EXPECT_EQ(outcome.code, 3);
    expect_contains(outcome.err, "trains it anew");
  }
}

TEST(RunRepair, TheBestIsMadeAgainWhereItIsTheLast) {
  const TempFolder work;
  succeed(training("t", "1"), work);
  succeed(training("o", "1") + Strings{"--seed", "5"}, work);
  const fs::path best = RunFolder::best_of(work / "t");
  const std::string whole = content_of(best);
  const std::vector<std::function<void()>> accidents = {
      [&] { fs::remove(best); }, [&] { flip(best); }, [&] { flip_header(best); },
      [&] { copy_over(RunFolder::best_of(work / "o"), best); }};
  for (const auto& happens : accidents) {
    SCOPED_TRACE(&happens - accidents.data());
    happens();
    EXPECT_EQ(run({"eval", "--weights", "t:best"}, work).code, 3);
    expect_contains(succeed({"train", "--resume", "t"}, work).err, "made again from last.safetensors");
    succeed({"eval", "--weights", "t:best"}, work);
    EXPECT_EQ(record_of(read_safetensors(best).metadata, "best").binding.weights, hash_in(work / "t"));
    EXPECT_EQ(succeed({"train", "--resume", "t"}, work).err.find("made again"), std::string::npos);
  }
  // Of an earlier epoch it cannot be: that is said.
  const std::string early = content_of(best);
  succeed({"train", "--resume", "t", "--epochs", "4"}, work);
  const Counters counters = read_checkpoint_record(RunFolder::last_of(work / "t")).counters;
  const bool is_last = counters.best->epoch == 4;
  copy_over(is_last ? RunFolder::previous_of(work / "t") : RunFolder::last_of(work / "t"), best);
  const std::string said = failure(3, {"eval", "--weights", "t:best"}, work);
  expect_contains(said, "best.safetensors: is of epoch");
  expect_contains(succeed({"train", "--resume", "t"}, work).err,
                  is_last ? "made again" : "cannot be made again");
}

TEST(RunRepair, CheckpointsOfOtherRunsAreRefused) {
  const TempFolder work;
  succeed(training("t", "2"), work);
  succeed(training("o", "2") + Strings{"--seed", "5"}, work);
  const auto of = [&](const std::string& run, const std::string& name) {
    return work / (run + "/checkpoints/" + name + ".safetensors");
  };
  fs::copy(work / "t", work / "whole", fs::copy_options::recursive);
  copy_over(of("o", "best"), of("t", "best"));
  copy_over(of("o", "last"), of("t", "last"));
  const Strings distil =
      Strings{"distill", "--student", "resnet8", "--method", "kd", "--epochs", "1"} + drawn;
  for (const std::string name : {"t", "t:best"}) {
    SCOPED_TRACE(name);
    for (const Strings& command :
         {Strings{"eval", "--weights", name, "--data", "synthetic:train=48,test=24"},
          Strings{"predict", "--weights", name, "--image", "0", "--data", "synthetic:train=48,test=24"},
          Strings{"export", name, "--to", "safetensors", "-o", "net.safetensors"}, Strings{"info", name},
          Strings{"import", name, "--out", "net.safetensors"},
          distil + Strings{"--teacher", name, "--out", "s"}, training("n", "1") + Strings{"--init", name}})
      expect_contains(failure(3, command, work), "is not of this run");
  }
  // Only the one before is another run's: nothing to go on from, should the last be lost.
  copy_over(of("whole", "last"), of("t", "last"));
  copy_over(of("whole", "best"), of("t", "best"));
  copy_over(of("o", "previous"), of("t", "previous"));
  fs::remove(of("t", "last"));
  const Outcome resumed = run({"train", "--resume", "t"}, work);
  EXPECT_EQ(resumed.code, 3);
  expect_contains(resumed.err, "previous.safetensors: is not of this run");
}

// The same settings, other weights to begin with: what binds them is every epoch's row.
TEST(RunRepair, TheBestOfARunOfTheSameSettings) {
  const TempFolder work;
  for (const std::string seed : {"7", "8"}) {
    succeed(training("w" + seed, "1") + Strings{"--seed", seed}, work);
    succeed(training("t" + seed, "2") + Strings{"--init", "w" + seed}, work);
  }
  EXPECT_EQ(read_checkpoint_record(RunFolder::best_of(work / "t7")).binding.settings,
            read_checkpoint_record(RunFolder::best_of(work / "t8")).binding.settings);
  copy_over(RunFolder::best_of(work / "t8"), RunFolder::best_of(work / "t7"));
  expect_contains(failure(3, {"eval", "--weights", "t7:best"}, work), "is not of this run: its epoch 1");
}

// A power cut while the first file is written.
TEST(RunRepair, FoldersOfLeftTemporaryFilesAreNobodys) {
  const TempFolder work;
  const auto left = [&](const std::string& folder) {
    return work.write(folder + "/.retort-1234-0.tmp", "seeds = 2\n");
  };
  const fs::path of_seeds = left("q"), of_usual = left("runs/resnet8-ce-seed1"), of_run = left("r"),
                 of_study = left("s");
  succeed(training("q", "1") + Strings{"--seeds", "2"}, work);
  EXPECT_FALSE(fs::exists(of_seeds));
  left("q");
  succeed({"train", "--resume", "q"}, work);
  EXPECT_FALSE(fs::exists(of_seeds));
  succeed(training("r", "1"), work);
  EXPECT_FALSE(fs::exists(of_run));
  succeed(Strings{"train", "--model", "resnet8", "--epochs", "1"} + drawn, work);
  EXPECT_TRUE(RunFolder::is_run(work / "runs/resnet8-ce-seed1"));
  EXPECT_FALSE(fs::exists(of_usual));
  work.write(
      "study.toml",
      "title = \"T\"\nseeds = 1\n[settings]\nepochs = 1\nbatch = 16\nthreads = 1\n[settings.data]\nspec = "
      "\"synthetic:train=48,test=24\"\n[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"ce\"\n");
  succeed({"compare", "study.toml", "--out", "s"}, work);
  EXPECT_FALSE(fs::exists(of_study));
  // Anything else is somebody's.
  left("u");
  work.write("u/notes.txt", "mine");
  failure(2, training("u", "1") + Strings{"--seeds", "2", "--force"}, work);
}

TEST(RunRepair, ALossThatIsNoneSaysWhetherThereIsACheckpoint) {
  const TempFolder work;
  const Strings wild = {"--lr", "1e9", "--set", "optimizer.weight_decay=0"};
  const Outcome first = run(training("t", "2") + wild, work);
  EXPECT_EQ(first.code, 5);
  expect_contains(first.err, "; there is no checkpoint before it. A smaller --lr may help");
  // Weights that are none before any loss is.
  const Outcome saved =
      run(training("u", "2") + Strings{"--lr", "1e300", "--set", "checkpoint_minutes=0"}, work);
  EXPECT_EQ(saved.code, 5);
  expect_contains(saved.err, "it was not written; there is no checkpoint before it. A smaller --lr may help");
  EXPECT_EQ(json::parse(content_of(work / "u/summary.json"))["status"], "diverged");
}

TEST(RunRepair, ImagesThatChangedAreSaid) {
  const TempFolder work;
  const auto write = [&](uint8_t first) { write_npy_pictures(work / "d", first); };
  write(1);
  succeed({"train", "--model", "resnet8", "--data", "npy:d", "--epochs", "1", "--batch", "4", "--threads",
           "1", "--out", "t"},
          work);
  const std::string changed = "the test images of its data are not those of its training";
  for (const char* weights : {"t", "t:best"}) {
    EXPECT_EQ(succeed({"eval", "--weights", weights}, work).err.find(changed), std::string::npos);
    write(2);
    expect_contains(succeed({"eval", "--weights", weights}, work).err, changed);
    EXPECT_EQ(succeed({"eval", "--weights", weights, "--data", "npy:d"}, work).err.find(changed),
              std::string::npos);
    write(1);
  }
}

}  // namespace
}  // namespace retort
