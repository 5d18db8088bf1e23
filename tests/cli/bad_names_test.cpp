// Paths that the system refuses, and files that have none.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::Outcome;
using testing::run;
using testing::TempFolder;

const std::string tiny = "synthetic:train=96,test=48";

// Names that the system itself refuses are what is wrong with an input, not with the program.
TEST(BadInput, NamesTooLongAndLinksInACircle) {
  TempFolder work;
  std::filesystem::create_symlink("a", work / "b");
  std::filesystem::create_symlink("b", work / "a");
  for (const std::string& name : {std::string(300, 'n'), std::string("a"), std::string("a/x")}) {
    for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
             {"info", name},
             {"train", "--model", "resnet8", "--config", name},
             {"train", "--model", "resnet8", "--data", tiny, "--out", name},
             {"train", "--model", "resnet8", "--data", tiny, "--seeds", "2", "--out", name},
             {"train", "--resume", name},
             {"compare", name},
             {"report", name},
             {"eval", "--weights", name},
             {"eval", "--weights", name + ":best"},
             {"loss", "--method", "kd", "--student", name, "--teacher", name},
             {"data", "recipe", name}}) {
      const Outcome outcome = run(command, work);
      EXPECT_TRUE(outcome.code >= 2 && outcome.code <= 4)
          << command[0] << ' ' << name << ": " << outcome.code << ' ' << outcome.err;
    }
  }
}

// A place that cannot be written is a failed write, whoever writes there.
TEST(BadInput, OutputsThatCannotBe) {
  TempFolder work;
  const std::string name(300, 'n');
  const std::vector<std::string> train = {"train", "--model", "resnet8", "--data", tiny, "--epochs", "1", "--out"};
  std::vector<std::string> command = train;
  command.push_back("t");
  ASSERT_EQ(run(command, work).code, 0);
  work.write("file", "");
  for (const std::string& out : {name, name + "/a", std::string("file/a")}) {
    std::vector<std::vector<std::string>> commands = {
        {"export", "t", "--to", "onnx", "-o", out},
        {"export", "t", "--to", "safetensors", "-o", out},
        {"import", "t/checkpoints/last.safetensors", "--model", "resnet8", "--out", out},
        {"report", "t", "--threads", "1", "--out", out}};
    commands.push_back(train);
    commands.back().push_back(out);
    commands.push_back(train);
    commands.back().insert(commands.back().end(), {out, "--seeds", "2"});
    for (const std::vector<std::string>& one : commands) {
      const Outcome outcome = run(one, work);
      EXPECT_EQ(outcome.code, 4) << one[0] << ' ' << out.substr(0, 10) << ": " << outcome.err;
    }
  }
}

// A run keeps where it was started, as far as its settings can hold that.
TEST(BadInput, StartedInAFolderThatIsNoUtf8) {
  TempFolder work;
  std::filesystem::create_directories(work / "b\xe9");
  const std::vector<std::string> train = {
      "train", "--model", "resnet8", "--data", tiny, "--epochs", "1", "--out", (work / "t").string()};
  ASSERT_EQ(testing::Program(train, work / "b\xe9").wait().code, 0);
  const Outcome tested = run({"eval", "--weights", "t"}, work);
  EXPECT_EQ(tested.code, 0) << tested.err;
}

// As the shell's <(...) names one: no file has that name, and its real path cannot be told.
TEST(BadInput, SettingsInAPipe) {
  TempFolder work;
  const std::filesystem::path pipe = work / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << "epochs = 0\n"; });
  const int file = ::open(pipe.c_str(), O_RDONLY);
  const Outcome outcome =
      run({"train", "--config", "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file)}, work);
  writer.join();
  ::close(file);
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  expect_contains(outcome.err, "not a regular file");
}

// A pipe in a folder that came from elsewhere was waited for without end.
TEST(BadInput, PipesInFoldersAreRefused) {
  TempFolder work;
  const std::string folder = (work / "t").string();
  ASSERT_EQ(run({"train", "--model", "resnet8", "--data", tiny, "--epochs", "1", "--out", folder}, work).code,
            0);
  for (const char* name : {"summary.json", "metrics.csv", "env.json", "config.toml"}) {
    SCOPED_TRACE(name);
    const std::filesystem::path file = work / "t" / name, kept = work / "kept";
    std::filesystem::rename(file, kept);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    EXPECT_EQ(run({"check", folder}, work).code, 8);
    run({"ls", work.path().string()}, work);
    std::filesystem::remove(file);
    std::filesystem::rename(kept, file);
  }
  EXPECT_EQ(run({"check", folder}, work).code, 0);
}

// Names of files and classes reached the terminal as they were.
TEST(BadInput, NothingThatIsPrintedSteersTheTerminal) {
  TempFolder work;
  const std::string name =
      "no\xc2\x9b"
      "31m\x1b[8msuch";
  const Outcome outcome = run({"eval", "--weights", name}, work);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.err.find("\xc2\x9b"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos) << outcome.err;
  std::filesystem::create_directories(work / name / "runs");
  const Outcome listed = run({"check", (work / name).string()}, work);
  EXPECT_EQ((listed.out + listed.err).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace retort
