// Which files of a folder in COCO's format a command reads, and what a student takes over of its teacher's.
#include <filesystem>
#include <fstream>
#include <functional>

#include "datasets/detection/open_detection.h"
#include "datasets/detection/scenes.h"
#include "tests/support/expect_error.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

const std::string names = ",train=train.json,test=test.json,images=train2017";

// DIR/train.json of 8 pictures, DIR/test.json of 4, pictures in DIR/train2017.
class CocoFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    export_coco(open_detection("scenes:train=8,test=4"), work_ / "c");
    fs::rename(work_ / "c/annotations/instances_train2017.json", work_ / "c/train.json");
    fs::rename(work_ / "c/annotations/instances_val2017.json", work_ / "c/test.json");
  }
  Strings training(const std::string& out, const Strings& more = {}) {
    return Strings{"train",    "--model", "rcnn_tiny", "--data", "coco:" + folder_ + names,
                   "--epochs", "1",       "--out",     out} +
           more;
  }
  Strings distilling(const std::string& teacher, const std::string& out, const Strings& more = {}) {
    return Strings{"distill", "--student", "rcnn_tiny", "--teacher", teacher, "--method",
                   "pcd",     "--epochs",  "1",         "--out",     out} +
           more;
  }
  void change(const std::string& file, const std::function<void(json& all)>& edit) {
    json all = json::parse(content_of(work_ / file));
    edit(all);
    std::ofstream(work_ / file) << all.dump();
  }
  // The last of what it says.
  void expect_failure(int code, const Strings& arguments, const std::string& words) {
    const Outcome outcome = run(arguments, work_);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    expect_contains(outcome.err, words);
  }

  TempFolder work_;
  std::string folder_ = "c";
};

TEST_F(CocoFiles, AKeyCountsOverTheFilesThatTheDataNames) {
  succeed(training("t"), work_);
  const Strings again = {"train", "--config", "t/config.toml", "--out", "u"};
  expect_failure(3, again + Strings{"--set", "data.test_json=nothere.json"}, "nothere.json");
  expect_failure(3, again + Strings{"--set", "data.train_json=nothere.json"}, "nothere.json");
  expect_failure(3, again + Strings{"--set", "data.images=nothere"}, "nothere");
  expect_failure(3, distilling("t", "s", {"--set", "data.test_json=nothere.json"}), "nothere.json");
  // And over both what is typed later.
  const Strings keys = {"--set", "data.test_json=test.json"};
  succeed(training("v", keys), work_);
  const std::string printed =
      succeed({"train", "--config", "v/config.toml", "--data", "coco:c,test=train.json", "--print-config"},
              work_)
          .out;
  expect_contains(printed, "coco:c,test=train.json\"");
  EXPECT_EQ(printed.find("test.json"), std::string::npos) << printed;
}

TEST_F(CocoFiles, KeysCountWhereNothingIsTrained) {
  succeed(training("t"), work_);
  const Strings eval = {"eval", "--weights", "t", "--json"}, other = {"--set", "data.test_json=train.json"};
  EXPECT_EQ(json_of(succeed(eval, work_))["n"], 4);
  EXPECT_EQ(json_of(succeed(eval + other, work_))["n"], 8);
  EXPECT_EQ(json_of(succeed(eval + Strings{"--data", "coco:c"} + other, work_))["n"], 8);
  const Strings missing = {"--set", "data.test_json=nothere.json"};
  expect_failure(3, eval + missing, "nothere.json");
  expect_failure(3, Strings{"predict", "--weights", "t", "--data", "coco:c"} + missing, "nothere.json");
  succeed(Strings{"report", "t", "--out", "page"} + missing, work_);
  expect_contains(content_of(work_ / "page/report.html"), "nothere.json");
  expect_failure(2, eval + Strings{"--data", "scenes:train=1,test=1"} + other, "it names a file of coco:DIR");
}

TEST_F(CocoFiles, AFolderMayHoldAComma) {
  folder_ = "c,2";
  fs::rename(work_ / "c", work_ / folder_);
  succeed(training("t"), work_);
  EXPECT_EQ(json_of(succeed({"eval", "--weights", "t", "--json"}, work_))["n"], 4);
  expect_failure(3, {"eval", "--weights", "t", "--data", "coco:c,tset=test.json"},
                 "behind a folder may stand");
  expect_failure(2, {"eval", "--weights", "t", "--data", "coco:c,2,test="}, "nothing stands behind 'test='");
}

TEST_F(CocoFiles, PicturesToLookAtNeedNoBoxes) {
  succeed(training("t"), work_);
  for (const char* file : {"c/train.json", "c/test.json"})
    change(file, [](json& all) { all.erase("annotations"); });
  const Strings looking = {"predict", "--weights", "t", "--data", "coco:c", "-o", "found.json"};
  succeed(looking, work_);
  EXPECT_TRUE(fs::exists(work_ / "found.json"));
  succeed(looking + Strings{"--part", "train"}, work_);
  expect_failure(3, {"eval", "--weights", "t", "--data", "coco:c"}, "has no list 'annotations'");
}

TEST_F(CocoFiles, AStudentSeesPicturesAsLargeAsItsTeacherDid) {
  succeed(training("t", {"--set", "data.size=64"}), work_);
  const Outcome taken = succeed(distilling("t", "s"), work_);
  expect_contains(taken.err, "the pictures' shorter side, 64 (data.size)");
  expect_contains(content_of(work_ / "s/config.toml"), "size = 64");
  succeed(distilling("t", "own", {"--set", "data.size=96"}), work_);
  expect_contains(content_of(work_ / "own/config.toml"), "size = 96");
  // The teacher's file alone says it too.
  fs::copy_file(work_ / "t/checkpoints/last.safetensors", work_ / "teacher.safetensors");
  succeed(distilling("teacher.safetensors", "f", {"--data", "coco:c" + names}), work_);
  expect_contains(content_of(work_ / "f/config.toml"), "size = 64");
}

TEST_F(CocoFiles, OneClassAndBackgroundAreTwoStagesOfPcd) {
  for (const char* file : {"c/train.json", "c/test.json"})
    change(file, [](json& all) {
      all["categories"] = json::array({all["categories"][0]});
      for (json& one : all["annotations"]) one["category_id"] = all["categories"][0]["id"];
    });
  succeed(training("t"), work_);
  expect_contains(succeed(distilling("t", "s"), work_).err, "pcd has 2 stages instead of 3");
  expect_contains(content_of(work_ / "s/config.toml"), "stages = 2");
  succeed({"distill", "--resume", "s", "--epochs", "2"}, work_);
  expect_failure(2, distilling("t", "u", {"--set", "method.stages=3"}), "method.stages is 3");
  const Outcome tested = succeed({"eval", "--weights", "s"}, work_);
  expect_contains(tested.err, "4 test pictures, 1 class, by ");
}

TEST_F(CocoFiles, TheLabelsWeightIsRefusedAndNotShown) {
  succeed(training("t"), work_);
  expect_failure(2, distilling("t", "u", {"--set", "method.ce_weight=0.5"}), "method.ce_weight is 0.5");
  succeed(distilling("t", "s"), work_);
  EXPECT_EQ(content_of(work_ / "s/log.txt").find("ce_weight"), std::string::npos);
  succeed({"distill", "--config", "s/config.toml", "--out", "again"}, work_);
}

TEST_F(CocoFiles, ABatchOfMorePicturesThanThereAreIsOfOneShape) {
  const Outcome outcome = succeed(training("t", {"--batch", "99"}), work_);
  expect_contains(outcome.err, "a step has at most all wide or all tall ones");
  EXPECT_EQ(outcome.err.find("every step has them all"), std::string::npos);
}

TEST_F(CocoFiles, OneResultOfAnUnknownCategoryIsOne) {
  change("c/test.json", [this](json& all) {
    const json one = {
        {"image_id", all["images"][0]["id"]}, {"category_id", 999}, {"bbox", {1, 1, 2, 2}}, {"score", 0.5}};
    std::ofstream(work_ / "r.json") << json::array({one}).dump();
  });
  expect_contains(succeed({"coco-eval", "c/test.json", "r.json"}, work_).err,
                  "1 result is of a category that");
}

}  // namespace
}  // namespace retort
