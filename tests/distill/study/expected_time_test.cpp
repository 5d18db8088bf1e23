// How long a study takes, said before it begins.
#include "distill/study/expected_time.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

const std::string tiny = R"(
title = "tiny"
[settings]
threads = 1
epochs = 2
batch = 32
data.spec = "synthetic:train=96,test=48"
[teacher]
model = "resnet14"
[student]
model = "resnet8"
[[methods]]
name = "ce"
[[methods]]
name = "kd"
[[methods]]
name = "wkd-l"
)";

// Temporary files of the program go where the test sees what is left of them.
class OwnTemporaryFolder {
 public:
  OwnTemporaryFolder() {
    if (const char* set = std::getenv("TMPDIR")) before_ = set;
    ::setenv("TMPDIR", folder_.path().c_str(), 1);
  }
  ~OwnTemporaryFolder() {
    if (before_.empty())
      ::unsetenv("TMPDIR");
    else
      ::setenv("TMPDIR", before_.c_str(), 1);
  }
  bool is_empty() const { return std::filesystem::is_empty(folder_.path()); }

 private:
  TempFolder folder_;
  std::string before_;
};

TEST(ExpectedTime, IsMeasuredWithoutTrainingAnything) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  const OwnTemporaryFolder temporary;
  const Outcome outcome =
      run({"compare", "tiny.toml", "--out", "s", "--seeds", "2", "--dry-run", "--workers", "3"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // A teacher, and three methods twice.
  for (const char* part : {"teacher resnet14", "resnet8, kd", "resnet8, wkd-l", "7 runs, 14 epochs: about ",
                           "on 3 workers", "of checkpoints", "of stored logits"})
    expect_contains(outcome.out, part);
  EXPECT_FALSE(std::filesystem::exists(work / "s"));
  EXPECT_TRUE(temporary.is_empty());

  const Outcome printed = run({"compare", "tiny.toml", "--out", "s", "--dry-run", "--json"}, work);
  ASSERT_EQ(printed.code, 0) << printed.err;
  const json all = json::parse(printed.out);
  EXPECT_EQ(all["runs"], 4);
  EXPECT_EQ(all["epochs"], 8);
  ASSERT_EQ(all["kinds"].size(), 4u);
  double seconds = 0;
  for (const json& kind : all["kinds"]) {
    EXPECT_EQ(kind["steps"], 6) << kind;
    EXPECT_GT(kind["seconds_per_step"], 0.0) << kind;
    EXPECT_LE(kind["seconds_per_stored_step"], kind["seconds_per_step"]) << kind;
    seconds += kind["seconds"].get<double>();
  }
  EXPECT_NEAR(all["seconds"].get<double>(), seconds, 1e-9 * seconds);
  EXPECT_NEAR(all["seconds_on_workers"].get<double>(), seconds, 1e-9 * seconds);
  EXPECT_FALSE(std::filesystem::exists(work / "s"));
}

TEST(ExpectedTime, OfAStudyThatHasBegunIsOfWhatIsLeft) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  const Outcome outcome = run({"compare", "tiny.toml", "--out", "s"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const size_t said = outcome.err.find("expected: 4 runs, 8 epochs: about ");
  EXPECT_LT(said, outcome.err.find("1 of 4")) << outcome.err;
  EXPECT_NE(said, std::string::npos) << outcome.err;

  const auto left = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"compare", "tiny.toml", "--out", "s", "--dry-run", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome dry = run(arguments, work);
    EXPECT_EQ(dry.code, 0) << dry.err;
    const json all = json::parse(dry.out);
    return std::pair<int, int>(all["runs"].get<int>(), all["epochs"].get<int>());
  };
  EXPECT_EQ(left({}), std::pair(0, 0));
  EXPECT_EQ(left({"--seeds", "2"}), std::pair(3, 6));
  EXPECT_EQ(left({"--force"}), std::pair(4, 8));
  // Nothing is left to say of one that is done.
  EXPECT_EQ(run({"compare", "tiny.toml", "--out", "s"}, work).err.find("expected:"), std::string::npos);
}

TEST(ExpectedTime, RefusesWhatTheStudyWould) {
  TempFolder work;
  work.write("tiny.toml", tiny);
  expect_contains(failure(2, {"compare", "tiny.toml", "--workers", "2"}, work), "--dry-run");
  expect_contains(failure(2, {"compare", "tiny.toml", "--dry-run", "--task", "0"}, work), "--dry-run");
  std::string model = tiny;
  model.replace(model.rfind("resnet8"), 7, "resnet9");
  work.write("model.toml", model);
  expect_contains(failure(2, {"compare", "model.toml", "--dry-run"}, work), "resnet9");
}

// A teacher that is there is not tested, nor trained anew.
TEST(ExpectedTime, TakesAGivenTeachersNetwork) {
  TempFolder work;
  ASSERT_EQ(run({"train", "--model", "resnet14", "--data", "synthetic:train=96,test=48", "--epochs", "1",
                 "--out", "t"},
                work)
                .code,
            0);
  std::string given = tiny;
  given.replace(given.find("model = \"resnet14\""), 18, "weights = \"t\"");
  work.write("given.toml", given);
  const Outcome outcome = run({"compare", "given.toml", "--dry-run", "--json"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["runs"], 3);
}

TEST(ExpectedTime, WorkersWaitForTeachers) {
  ExpectedTime expected;
  EXPECT_EQ(expected.on(4), 0);
  expected.tasks = {{10, no_run}, {2, no_run}, {20, 0}, {20, 0}, {5, 1}};
  EXPECT_EQ(expected.on(1), 57);
  // One: 10, then 20 more to 30, and 5. The other: 2, waits for the teacher, to 30.
  EXPECT_EQ(expected.on(2), 35);
  EXPECT_EQ(expected.on(3), 30);
  EXPECT_EQ(expected.on(1000000), 30);
}

}  // namespace
}  // namespace retort
