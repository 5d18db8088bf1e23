// A folder of data that was moved: what a run names in it, it finds in the new place.
#include <filesystem>
#include <fstream>

#include "datasets/detection/open_detection.h"
#include "datasets/detection/scenes.h"
#include "distill/study/places.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

// Pictures with boxes under names of their own: DIR/train.json, DIR/test.json, pictures in DIR/train2017.
void write_boxes(const fs::path& folder) {
  export_coco(open_detection("scenes:train=8,test=4"), folder);
  fs::rename(folder / "annotations/instances_train2017.json", folder / "train.json");
  fs::rename(folder / "annotations/instances_val2017.json", folder / "test.json");
}

const Strings named = {"--set", "data.train_json=train.json", "--set", "data.test_json=test.json",
                       "--set", "data.images=train2017"};
const Strings training = {"train", "--model", "rcnn_tiny", "--data", "coco:c", "--epochs", "1", "--out"};
const std::string names = ",train=train.json,test=test.json,images=train2017";

TEST(MovedData, NamesOfFilesGoOnInTheOtherFolder) {
  const TempFolder work;
  write_boxes(work / "c");
  succeed(training + Strings{"t"} + named, work);
  fs::rename(work / "c", work / "d");
  succeed({"train", "--resume", "t", "--data", "coco:d", "--epochs", "2"}, work);
  expect_contains(content_of(work / "t/config.toml"), "coco:d" + names);
  fs::rename(work / "d", work / "e");
  EXPECT_EQ(json_of(succeed({"eval", "--weights", "t", "--data", "coco:e", "--json"}, work))["n"], 4);
  succeed({"predict", "--weights", "t", "--data", "coco:e", "-o", "found.json"}, work);
  EXPECT_TRUE(fs::exists(work / "found.json"));
  // Of a teacher's run too.
  const Strings distilling = {"distill", "--teacher", "t",        "--student", "rcnn_tiny",
                              "--data",  "coco:e",    "--epochs", "1",         "--method",
                              "kd",      "--out",     "s"};
  expect_contains(succeed(distilling, work).err, "coco:e" + names);
  // COCO's own names are others; what is typed counts before all.
  export_coco(open_detection("scenes:train=1,test=2"), work / "own");
  EXPECT_EQ(json_of(succeed({"eval", "--weights", "t", "--data", "coco:own", "--json"}, work))["n"], 2);
  const std::string typed = "coco:e,test=train.json,images=train2017";
  EXPECT_EQ(json_of(succeed({"eval", "--weights", "t", "--data", typed, "--json"}, work))["n"], 8);
}

TEST(MovedData, OfRunsOfSeveralSeedsAndOfStudies) {
  const TempFolder work;
  write_boxes(work / "c");
  succeed(training + Strings{"seeds", "--seeds", "2"} + named, work);
  work.write("cells.toml", R"(
    [settings]
    epochs = 1
    data.spec = "coco:c"
    data.train_json = "train.json"
    data.test_json = "test.json"
    data.images = "train2017"
    [student]
    model = "rcnn_tiny"
    [[methods]]
    name = "ce")");
  const Strings compare = {"compare", "cells.toml", "--out", "study"};
  succeed(compare, work);
  fs::rename(work / "c", work / "d");
  succeed({"train", "--resume", "seeds", "--data", "coco:d", "--epochs", "2"}, work);
  expect_contains(content_of(work / "seeds/seed-2/config.toml"), "coco:d" + names);
  succeed(compare + Strings{"--resume", "--data", "coco:d"}, work);
  succeed(compare + Strings{"--force", "--data", "coco:d"}, work);
}

TEST(MovedData, NamesThatAreNotThereGiveWayToCocosOwn) {
  const TempFolder work;
  const auto at = [&](const char* folder) { return "coco:" + (work / folder).string(); };
  const std::string own = "coco:old,test=val.json,images=p";
  fs::create_directories(work / "none");
  work.write("cocos/annotations/instances_val2017.json", "");
  work.write("both/annotations/instances_val2017.json", "");
  work.write("both/val.json", "");
  work.write("both/p/1.png", "");
  EXPECT_EQ(data_elsewhere(at("none"), own), at("none") + ",test=val.json,images=p");
  EXPECT_EQ(data_elsewhere(at("cocos"), own), at("cocos"));
  EXPECT_EQ(data_elsewhere(at("both"), own), at("both") + ",test=val.json,images=p");
  EXPECT_EQ(data_elsewhere(at("both") + ",images=q", own), at("both") + ",images=q");
  EXPECT_EQ(data_elsewhere(at("both"), "coco:old"), at("both"));
  EXPECT_EQ(data_elsewhere("scenes:train=1,test=1", own), "scenes:train=1,test=1");
  EXPECT_EQ(data_elsewhere(at("both"), "scenes:train=1,test=1"), at("both"));
}

TEST(MovedData, LabelsOfTestImagesInTheFolder) {
  const TempFolder work;
  write_photo_folder(work, 4, 0, 32);
  fs::create_directories(work / "p/val");
  fs::rename(work / "train", work / "p/train");
  std::string labels;
  for (const char* name : {"amber", "beryl", "coral"}) {
    fs::copy(work / "p/train" / name / "0.png", work / "p/val" / (std::string(name) + ".png"));
    labels += text(name, ".png ", name, "\n");
  }
  work.write("p/which.txt", labels);
  work.write("beside.txt", labels);
  const auto run = [&](const std::string& file, const std::string& out) {
    succeed({"train", "--model", "resnet8", "--data", "folder:p", "--set", "data.val_labels=" + file, "--set",
             "data.size=32", "--epochs", "1", "--batch", "4", "--out", out},
            work);
  };
  run("p/which.txt", "t");
  run("beside.txt", "u");
  fs::rename(work / "p", work / "q");
  for (const char* folder : {"t", "u"})
    succeed({"train", "--resume", folder, "--data", "folder:q", "--epochs", "2"}, work);
  expect_contains(content_of(work / "t/config.toml"), "q/which.txt");
  expect_contains(content_of(work / "u/config.toml"), "beside.txt");
  fs::rename(work / "q", work / "r");
  EXPECT_EQ(json_of(succeed({"eval", "--weights", "t", "--data", "folder:r", "--json"}, work))["n"], 3);
  succeed({"distill", "--teacher", "t", "--student", "resnet8", "--method", "kd", "--data", "folder:r",
           "--set", "data.size=32", "--epochs", "1", "--batch", "4", "--out", "s"},
          work);
  // How well a student is calibrated needs its test images.
  const auto evaluated = [&](const Strings& more, const std::string& folder = "t") {
    fs::remove_all(work / "page");
    const Strings words = Strings{"report", folder, "--out", "page", "--json"} + more;
    const nlohmann::json report = json_of(succeed(words, work));
    const nlohmann::json& error = report["pairs"][0]["calibration_error"];
    return error.is_object() && error["students"].contains("ce") && error["students"]["ce"]["n"] == 1;
  };
  EXPECT_TRUE(evaluated({"--data", "folder:r"}));
  EXPECT_TRUE(evaluated({"--data", "folder:r"}, "u")) << "its labels lie beside the folder, and stay there";
  fs::rename(work / "r/which.txt", work / "moved.txt");
  EXPECT_FALSE(evaluated({"--data", "folder:r"}));
  EXPECT_TRUE(evaluated({"--data", "folder:r", "--set", "data.val_labels=moved.txt"}));
  expect_contains(failure(2, {"report", "t", "--set", "data.augment=none"}, work), "expected data.decoder");
  DataSettings own;
  own.spec = "folder:p";
  own.val_labels = "p/which.txt";
  EXPECT_EQ(labels_elsewhere("folder:elsewhere", own), "") << "not there";
}

}  // namespace
}  // namespace retort
