#include "distill/run/run_folder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::expect_contains;
using testing::TempFolder;
using Mode = RunFolder::Mode;

// A run that has written everything.
void make_run(const fs::path& path) {
  const RunFolder run(path, Mode::create);
  for (const fs::path& file :
       {run.config(), run.environment(), run.metrics(), run.summary(), run.last(), run.previous(), run.best(),
        run.tensorboard() / "events.out.tfevents.1.host", run.plots() / "loss.svg"})
    write_file(file, "content");
  run.log("started");
}

TEST(RunFolder, CreateMakesParentsAndFolders) {
  TempFolder folder;
  const RunFolder run(folder / "a/b/run/", Mode::create);
  EXPECT_EQ(run.path(), folder / "a/b/run");
  EXPECT_EQ(run.last(), folder / "a/b/run/checkpoints/last.safetensors");
  for (const char* made : {"checkpoints", "tb", "plots"})
    EXPECT_TRUE(fs::is_directory(run.path() / made)) << made;
}

TEST(RunFolder, CreateRefusesWhatExists) {
  TempFolder folder;
  make_run(folder / "run");
  const auto create = [&](const char* name) {
    return error_of(Fault::usage, [&] { RunFolder(folder / name, Mode::create); });
  };
  const std::string message = create("run");
  expect_contains(message, (folder / "run").string());
  expect_contains(message, "--resume");
  expect_contains(message, "--force");
  write_file(folder / "file", "");
  expect_contains(create("file"), "is not a folder");
  fs::create_symlink("nowhere", folder / "link");
  expect_contains(create("link"), "is not a folder");
  EXPECT_EQ(read_text_file(folder / "run/config.toml"), "content");
}

// faults 2.10: nothing is lost by it.
TEST(RunFolder, CreateTakesAnEmptyFolder) {
  TempFolder folder;
  fs::create_directory(folder / "empty");
  const RunFolder run(folder / "empty", Mode::create);
  EXPECT_TRUE(fs::is_directory(run.plots()));
}

TEST(RunFolder, SaysWhereThereIsNothingToGoOnFrom) {
  TempFolder folder;
  make_run(folder / "run");
  fs::remove(RunFolder::last_of(folder / "run"));
  fs::remove(RunFolder::previous_of(folder / "run"));
  expect_contains(error_of(Fault::usage, [&] { RunFolder(folder / "run", Mode::create); }),
                  "ended before its first checkpoint, --force");
}

// What a power cut in a run's first moments leaves: names without content.
TEST(RunFolder, ALockWithoutItsMarkIsOursBesideOurNames) {
  for (const std::string& content : {std::string(), std::string(27, '\0')}) {
    for (const char* beside : {"", "checkpoints", "log.txt", "config.toml"}) {
      SCOPED_TRACE(beside);
      TempFolder folder;
      fs::create_directory(folder / "run");
      write_file(folder / "run/lock", content);
      if (std::string(beside) == "checkpoints") fs::create_directory(folder / "run/checkpoints");
      if (std::string(beside).find('.') != std::string::npos) write_file(folder / "run" / beside, "");
      const bool something = std::string(beside).find('.') != std::string::npos;
      if (something)
        error_of(Fault::usage, [&] { RunFolder(folder / "run", Mode::create); });
      else
        RunFolder(folder / "run", Mode::create);
      write_file(folder / "run/lock", content);
      RunFolder(folder / "run", Mode::force);
      EXPECT_FALSE(fs::exists(folder / "run/log.txt"));
    }
  }
  for (const Mode mode : {Mode::create, Mode::force}) {  // without even its name
    TempFolder folder;
    fs::create_directories(folder / "run/checkpoints");
    fs::create_directories(folder / "run/tb");
    RunFolder(folder / "run", mode);
    fs::create_directories(folder / "mine/tb");
    write_file(folder / "mine/tb/precious", "");
    error_of(Fault::usage, [&] { RunFolder(folder / "mine", mode); });
    EXPECT_TRUE(fs::exists(folder / "mine/tb/precious"));
  }
  TempFolder folder;
  fs::create_directory(folder / "other");
  write_file(folder / "other/lock", "");
  write_file(folder / "other/thesis.tex", "precious");
  expect_contains(error_of(Fault::usage, [&] { RunFolder(folder / "other", Mode::force); }),
                  "deletes nothing");
}

// Settings that are lost make nobody's checkpoints worthless.
TEST(RunFolder, ForceKeepsCheckpointsWhoseSettingsAreLost) {
  TempFolder folder;
  make_run(folder / "run");
  fs::remove(folder / "run/config.toml");
  for (const Mode mode : {Mode::force, Mode::create}) {
    error_of(Fault::usage, [&] { RunFolder(folder / "run", mode); });
    EXPECT_TRUE(RunFolder::has_checkpoint(folder / "run"));
  }
  expect_contains(error_of(Fault::usage, [&] { RunFolder(folder / "run", Mode::force); }), "config.toml is lost");
  // What a kill inside --force leaves is deleted to its end.
  write_file(folder / "run/.retort-replaced.tmp", "");
  RunFolder(folder / "run", Mode::force);
  EXPECT_FALSE(RunFolder::has_checkpoint(folder / "run"));
  EXPECT_FALSE(fs::exists(folder / "run/.retort-replaced.tmp"));
}

TEST(RunFolder, ForceDeletesItsPlansAndNobodysNotes) {
  TempFolder folder;
  make_run(folder / "run");
  const fs::path plans = folder / "run/cudnn-plans";
  for (const bool notes : {false, true}) {
    fs::create_directory(plans);
    write_file(plans / "0123.plan", "");
    if (notes) write_file(plans / "notes.txt", "");
    RunFolder(folder / "run", Mode::force);
    EXPECT_FALSE(fs::exists(plans / "0123.plan"));
    EXPECT_EQ(fs::exists(plans), notes);
    EXPECT_EQ(fs::exists(plans / "notes.txt"), notes);
  }
}

TEST(RunFolder, WhatCouldNotBeginLeavesNothing) {
  TempFolder folder;
  {
    const RunFolder run(folder / "run", Mode::create);
    write_file(run.config(), "");
    run.discard();
  }
  EXPECT_FALSE(fs::exists(folder / "run"));
  fs::create_directory(folder / "mine");
  RunFolder(folder / "mine", Mode::create).discard();
  EXPECT_TRUE(fs::is_empty(folder / "mine"));
}

// Found by failing calls: a log without a lock was no run's folder, and a study could not go on.
TEST(RunFolder, WhatCannotBeRemovedKeepsItsLock) {
  TempFolder folder;
  const RunFolder run(folder / "run", Mode::create);
  fs::create_directories(run.log_file());  // no file that could be removed
  run.discard();
  EXPECT_TRUE(fs::exists(folder / "run" / "lock"));
}

TEST(RunFolder, CreateNamesWhyItCannot) {
  TempFolder folder;
  write_file(folder / "file", "");
  expect_contains(error_of(Fault::write, [&] { RunFolder(folder / "file/run", Mode::create); }),
                  "cannot be made");
  error_of(Fault::write, [] { RunFolder("/proc/run", Mode::create); });
}

TEST(RunFolder, ForceReplacesARunAndNothingElse) {
  TempFolder folder;
  make_run(folder / "run");
  write_file(folder / "run/notes.md", "mine");
  write_file(folder / "run/plots/mine.png", "mine");
  const RunFolder run(folder / "run", Mode::force);
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(run.path())) files += entry.is_regular_file();
  EXPECT_EQ(files, 3u);  // the two above and the lock
  EXPECT_EQ(read_text_file(folder / "run/notes.md"), "mine");
  EXPECT_EQ(read_text_file(folder / "run/plots/mine.png"), "mine");
}

TEST(RunFolder, ForceRefusesAFolderThatIsNotOurs) {
  TempFolder folder;
  for (const char* name : {"config.toml", "lock"}) {
    fs::create_directory(folder / "other");
    write_file(folder / "other" / name, "precious");
    expect_contains(error_of(Fault::usage, [&] { RunFolder(folder / "other", Mode::force); }),
                    "deletes nothing");
    EXPECT_EQ(read_text_file(folder / "other" / name), "precious");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder / "other"), {}), 1);
    fs::remove_all(folder / "other");
  }
  fs::create_directory(folder / "empty");
  RunFolder(folder / "empty", Mode::force);
  RunFolder(folder / "new", Mode::force);
  error_of(Fault::usage, [&] { RunFolder(folder / "empty/lock", Mode::force); });
}

TEST(RunFolder, ResumeNeedsARun) {
  TempFolder folder;
  expect_contains(error_of(Fault::input, [&] { RunFolder(folder / "no", Mode::resume); }), "no such folder");
  fs::create_directory(folder / "empty");
  expect_contains(error_of(Fault::input, [&] { RunFolder(folder / "empty", Mode::resume); }), "config.toml");
  make_run(folder / "run");
  write_file(folder / "run/checkpoints/.retort-1-1.tmp", "left by a kill");
  const RunFolder run(folder / "run", Mode::resume);
  EXPECT_EQ(read_text_file(run.last()), "content");
  EXPECT_FALSE(fs::exists(folder / "run/checkpoints/.retort-1-1.tmp"));
}

TEST(RunFolder, OneProcessAtATime) {
  TempFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder run(folder / "run", Mode::create);
    write_file(run.config(), "");
    ::write(ready[1], "x", 1) == 1 ? ::pause() : 0;
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  for (Mode mode : {Mode::create, Mode::force, Mode::resume}) {
    const std::string message = error_of(Fault::usage, [&] { RunFolder(folder / "run", mode); });
    expect_contains(message, text("pid ", child, ")"));
  }
  EXPECT_TRUE(RunFolder::is_run(folder / "run"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  RunFolder(folder / "run", Mode::resume);  // a killed process holds nothing
  ::close(ready[0]);
  ::close(ready[1]);
}

// A second object of one process is refused like another process, and a failed one leaves no lock behind.
TEST(RunFolder, LockEndsWithTheObject) {
  TempFolder folder;
  std::optional<RunFolder> run(std::in_place, folder / "run", Mode::create);
  error_of(Fault::usage, [&] { RunFolder(folder / "run", Mode::force); });
  run.reset();
  error_of(Fault::input, [&] { RunFolder(folder / "run", Mode::resume); });
  RunFolder(folder / "run", Mode::create);  // no run has begun in it
  RunFolder(folder / "run", Mode::force);
}

TEST(RunFolder, Log) {
  TempFolder folder;
  const RunFolder run(folder / "run", Mode::create);
  run.log("first");
  run.log("second\nthird");
  const std::string log = read_text_file(run.log_file());
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2);
  EXPECT_EQ(log.substr(4, 1), "-");
  expect_contains(log, "Z first\n");
  expect_contains(log, "Z second third\n");
}

}  // namespace
}  // namespace retort
