// Students of photos: what their teacher's run gives them, and what photos have not.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"
#include "tests/support/runs.h"

namespace retort::testing {
namespace {

class PhotoTeacher : public ::testing::Test {
 protected:
  // Of three classes, whose images have a side of 40.
  static void SetUpTestSuite() {
    shared_ = new TempFolder;
    write_photo_folder(*shared_, 4, 2);
    succeed({"train", "--data", "folder:.", "--model", "resnet8", "--epochs", "1", "--out", "teacher",
             "--set", "data.size=40", "--set", "data.test_resize=44"},
            *shared_);
  }
  static void TearDownTestSuite() { delete shared_; }

  static Strings distill(const Strings& more, const std::string& teacher = "teacher") {
    return Strings{"distill", "--teacher", teacher, "--student", "resnet8", "--epochs", "1"} + more;
  }
  static std::string refused(const Strings& more, const std::string& teacher = "teacher") {
    const Outcome outcome = run(distill(more, teacher), work());
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    return outcome.err;
  }
  static const TempFolder& work() { return *shared_; }

 private:
  static inline TempFolder* shared_ = nullptr;
};

TEST_F(PhotoTeacher, ItsSizeIsTheStudentsWhereNobodySetsOne) {
  for (const Strings& data : {Strings{}, Strings{"--data", "folder:."}}) {
    const Outcome outcome = succeed(distill(Strings{"--out", "a", "--force"} + data), work());
    expect_contains(outcome.err, "the images' size, 40 (data.size)");
    expect_contains(outcome.err, "the shorter side in tests, 44");
    expect_contains(content_of(work() / "a/config.toml"), "size = 40\ntest_resize = 44\n");
  }
  // Another one that is set stays, and what would fit is said.
  expect_contains(refused({"--set", "data.size=32", "--out", "b"}),
                  "the teacher sees images of 40x40, the data's are 32x32; --set data.size=40");
  expect_contains(refused({"--out", "b", "--data", "folder:."}, "teacher/checkpoints/last.safetensors"),
                  "--set data.size=40");
  EXPECT_FALSE(std::filesystem::exists(work() / "b"));
}

// Images are normalised for the student as for its teacher, whether its file or the user says how.
TEST_F(PhotoTeacher, ItsMeanAndDeviationAreTheStudents) {
  const auto numbers = [](const Strings& more) {
    succeed(distill(Strings{"--out", "n", "--force"} + more), work());
    return content_of(work() / "n/config.toml");
  };
  expect_contains(numbers({}), "numbers = \"of teacher\"");
  const std::string given =
      numbers({"--set", "teacher_mean=0.5,0.25,0.125", "--set", "teacher_std=0.5,0.25,1"});
  expect_contains(given, "numbers = \"as given for teacher\"");
  expect_contains(given, "mean = \"0.5 0.25 0.125\"\nstd = \"0.5 0.25 1\"");
}

// Before the teacher is tested, and before a study trains one.
TEST_F(PhotoTeacher, WhatPhotosHaveNotIsRefusedAtOnce) {
  const std::pair<Strings, const char*> refusals[] = {
      {{"--set", "data.views=10"}, "data.views is 10, but folder:. holds photos"},
      {{"--teacher-source", "table"}, "crops of photos never repeat"},
      {{"--method", "mlkd", "--set", "method.views=2"}, "method mlkd reads two views of an image"}};
  for (const auto& [settings, why] : refusals) {
    const std::string error = refused(settings + Strings{"--out", "c"});
    expect_contains(error, why);
    EXPECT_EQ(error.find("top-1"), std::string::npos) << error;
    EXPECT_EQ(error.find("limited to 10"), std::string::npos) << error;
  }
  expect_contains(failure(2,
                          {"train", "--data", "folder:.", "--model", "resnet8", "--out", "c", "--set",
                           "data.views=10", "--set", "data.augment=none"},
                          work()),
                  "data.views is 10");
  EXPECT_FALSE(std::filesystem::exists(work() / "c"));
  work().write("two.toml",
               "[settings]\nepochs = 1\ndata.spec = \"folder:.\"\n[teacher]\nmodel = \"resnet8\"\n"
               "[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"mlkd\"\nviews = 2\n");
  expect_contains(failure(2, {"compare", "two.toml", "--out", "two"}, work()),
                  "method mlkd reads two views of an image");
  EXPECT_FALSE(std::filesystem::exists(work() / "two"));
}

// A study shares its teacher's logits by itself, but not those of photos.
TEST_F(PhotoTeacher, StudiesAskItInEveryStep) {
  const std::string rest =
      "[teacher]\nmodel = \"resnet8\"\n[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"kd\"\n";
  work().write("live.toml", "[settings]\nepochs = 1\ndata.spec = \"folder:.\"\n" + rest);
  succeed({"compare", "live.toml", "--out", "live"}, work());
  expect_contains(content_of(work() / "live/kd/seed-1/config.toml"), "teacher_source = \"live\"");

  const TempFolder small;  // of one size: held in memory
  write_photo_folder(small, 4, 2, 32);
  small.write("s.toml", "[settings]\nepochs = 1\ndata.spec = \"folder:.\"\n" + rest);
  succeed({"compare", "s.toml", "--out", "s"}, small);
  expect_contains(content_of(small / "s/kd/seed-1/config.toml"), "teacher_source = \"table\"");
}

// torchvision's newer weights of resnet50 are known by the hash in their name.
TEST_F(PhotoTeacher, NewerWeightsThanThePapersAreNoted) {
  const auto last = work() / "teacher/checkpoints/last.safetensors";
  const std::string note = "the teacher of published runs is resnet50-0676ba61 (76.13 %)";
  for (const std::string name : {"resnet50-11ad3fa6", "resnet50-0676ba61"}) {
    const std::string file = name + ".safetensors";
    std::filesystem::copy(last, work() / file);
    const Outcome outcome =
        succeed(distill({"--data", "folder:.", "--set", "data.size=40", "--out", name}, file), work());
    EXPECT_EQ(outcome.err.find(note) != std::string::npos, name == "resnet50-11ad3fa6") << outcome.err;
    EXPECT_EQ(content_of(work() / name / "log.txt").find(note) != std::string::npos,
              name == "resnet50-11ad3fa6");
  }
}

}  // namespace
}  // namespace retort::testing
