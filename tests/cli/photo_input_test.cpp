// What commands say of the photos that a run was trained on, and of values that photos cannot have.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort::testing {
namespace {

std::vector<std::string> training(const std::string& data, const std::string& out,
                                  std::vector<std::string> more = {}) {
  std::vector<std::string> all = {"train", "--data",  data, "--model", "resnet8", "--epochs",
                                  "1",     "--batch", "4",  "--out",   out};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Whether images are held in memory was decided otherwise in training, of both parts, than in a test: their
// hash was another, and `eval` said that they were not those of the training.
TEST(PhotoInput, ARunsOwnImagesAreKnownAgain) {
  TempFolder work;
  std::filesystem::create_directories(work / "mixed/train/amber");
  TempFolder small;
  write_photo_folder(small, 3, 2, 32);
  std::filesystem::copy(small.path(), work / "small", std::filesystem::copy_options::recursive);
  std::filesystem::copy(small.path(), work / "mixed", std::filesystem::copy_options::recursive);
  work.write("mixed/train/amber/large.png", png_of(class_picture(0, 9, 50, 70)));
  ASSERT_EQ(run(training("folder:small", "cropped", {"--set", "data.augment=resized-crop"}), work).code, 0);
  ASSERT_EQ(run(training("folder:mixed", "mixed-run"), work).code, 0);
  ASSERT_EQ(run(training("folder:small/", "slash"), work).code, 0);
  for (const char* name : {"cropped", "mixed-run", "slash"}) {
    const Outcome tested = run({"eval", "--weights", name}, work);
    EXPECT_EQ(tested.code, 0) << tested.err;
    EXPECT_EQ(tested.err.find("note:"), std::string::npos) << name << ": " << tested.err;
  }
  // Behind a slash the data set had no name.
  const Outcome same = run({"eval", "--weights", "slash", "--data", "folder:small"}, work);
  EXPECT_EQ(same.err.find("was trained on"), std::string::npos) << same.err;
}

// They were taken for damaged weights, or passed over.
TEST(PhotoInput, ValuesThatPhotosCannotHaveAreErrorsOfUse) {
  TempFolder work;
  write_photo_folder(work, 3, 2);
  std::filesystem::create_directories(work / "d");
  for (const char* part : {"train", "val"}) std::filesystem::rename(work / part, work / "d" / part);
  ASSERT_EQ(run(training("folder:d", "r"), work).code, 0);
  const std::string picture = "d/val/amber/3.png";
  expect_contains(failure(2, {"predict", "--weights", "r", picture, "--set", "data.test_resize=20"}, work),
                  "data.test_resize is 20, expected at least 32");
  expect_contains(
      failure(2, {"export", "r", "--to", "infer", "-o", "x", "--set", "data.test_resize=20"}, work),
      "data.test_resize is 20, expected at least 32");
  expect_contains(failure(2, {"eval", "--weights", "r", "--set", "data.size=7"}, work),
                  "data.size is 7, expected pixels, 8 to 4096");
  ASSERT_EQ(run({"export", "r", "--to", "onnx", "-o", "n.onnx"}, work).code, 0);
  expect_contains(
      failure(2, {"eval", "--weights", "n.onnx", "--data", "folder:d", "--set", "data.size=20"}, work),
      "sees images of side 32 alone");
  expect_contains(failure(2, training("folder:d", "x", {"--set", "data.cache_gib=1e12"}), work),
                  "data.cache_gib");
  for (const char* ratio : {"0.5,1.5", "[0.5, 1.5]"})
    EXPECT_EQ(
        run(training("folder:d", std::string("y") + ratio, {"--set", std::string("data.ratio=") + ratio}),
            work)
            .code,
        0);
  expect_contains(failure(2, training("folder:d", "x", {"--set", "data.scale=0.5 1.5"}), work),
                  "above 0 and at most 1,");
  ASSERT_EQ(run({"data", "pack", "folder:d", "d.pack"}, work).code, 0);
  expect_contains(failure(2, training("pack:d.pack", "x", {"--set", "data.val_labels=nowhere.txt"}), work),
                  "a pack holds the classes of its test images");
  expect_contains(failure(2, training("d", "x"), work), "it is named as folder:d; ");
}

// One flipped digit of what was measured once trained other weights, unseen.
TEST(PhotoInput, DamagedNumbersOfTheCacheAreMeasuredAnew) {
  TempFolder work;
  write_photo_folder(work, 3, 2);
  const auto hash_of_run = [&](const std::string& out) {
    return json_of(run(training("folder:.", out, {"--json"}), work))["weights_hash"].get<std::string>();
  };
  ASSERT_EQ(::setenv("RETORT_CACHE", (work / "cache").c_str(), 1), 0);
  const std::string hash = hash_of_run("a");
  bool changed = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(work / "cache")) {
    if (!entry.path().string().ends_with("-numbers")) continue;
    std::string content = read_text_file(entry.path());
    content[2] = content[2] == '9' ? '8' : '9';
    std::ofstream(entry.path(), std::ios::binary) << content;
    changed = true;
  }
  EXPECT_TRUE(changed);
  EXPECT_EQ(hash_of_run("b"), hash);
  ::unsetenv("RETORT_CACHE");
}

}  // namespace
}  // namespace retort::testing
