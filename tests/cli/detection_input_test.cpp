// What detectors are trained on, as people bring it: each thing that is wrong with it is told with its file
// and id.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "datasets/formats/png_writer.h"
#include "engine/base/check.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

// A folder of four pictures, two to train on and two to test on, as large as `side`, with a box each.
class DetectionInput : public ::testing::Test {
 protected:
  void SetUp() override { make_pictures(64); }

  void make_pictures(int side) {
    std::filesystem::create_directories(work_ / "c/pictures");
    for (int i = 1; i <= 4; ++i) {
      Image image{side, side, {}};
      for (int p = 0; p < side * side * 3; ++p) image.pixels.push_back(uint8_t(p * 37 * i));
      write_png(work_ / text("c/pictures/", i, ".png"), image);
    }
    const double half = side / 2.0;
    for (const char* part : {"train", "val"}) {
      const int first = std::string(part) == "train" ? 1 : 3;
      json& all = of(part);
      all = {{"images", json::array()},
             {"annotations", json::array()},
             {"categories", json::array({{{"id", 7}, {"name", "cell"}}})}};
      for (int id = first; id < first + 2; ++id) {
        all["images"].push_back(
            {{"id", id}, {"file_name", text(id, ".png")}, {"width", side}, {"height", side}});
        all["annotations"].push_back({{"id", 10 * id},
                                      {"image_id", id},
                                      {"category_id", 7},
                                      {"bbox", {half / 2, half / 2, half, half}}});
      }
    }
  }
  json& of(const std::string& part) { return part == "train" ? train_ : val_; }
  json& box_of(const std::string& part) { return of(part)["annotations"][0]["bbox"]; }

  std::vector<std::string> training() {
    std::filesystem::remove_all(work_ / "run");
    write("train", train_);
    write("val", val_);
    return {"train",
            "--model",
            "rcnn_tiny",
            "--data",
            "coco:c",
            "--set",
            "data.train_json=train.json",
            "--set",
            "data.test_json=val.json",
            "--set",
            "data.images=pictures",
            "--epochs",
            "1",
            "--out",
            "run",
            "--json"};
  }
  void write(const std::string& part, const json& content) {
    std::ofstream(work_ / ("c/" + part + ".json")) << content.dump();
  }
  Outcome trained() {
    const Outcome outcome = run(training(), work_);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }
  // Refused as unusable input, with the file and these words; nothing is left behind.
  void expect_refused(const char* file, const std::string& words) {
    const std::string message = failure(3, training(), work_);
    expect_contains(message, words);
    expect_contains(message, file);
    EXPECT_FALSE(std::filesystem::exists(work_ / "run"));
  }

  TempFolder work_;
  json train_, val_;
};

TEST_F(DetectionInput, ABoxWithoutWidthIsLeftOutAndNotedOnce) {
  train_["annotations"].push_back({{"id", 99}, {"image_id", 1}, {"category_id", 7}, {"bbox", {3, 4, 0, 7}}});
  train_["annotations"].push_back({{"id", 98}, {"image_id", 2}, {"category_id", 7}, {"bbox", {3, 4, 5, 0}}});
  const std::string notes = trained().err;
  expect_contains(notes, "train.json: 2 boxes have a side of 0");
  expect_contains(notes, "annotation id 99");
  EXPECT_EQ(notes.find("side of 0"), notes.rfind("side of 0")) << "told once:\n" << notes;
}

TEST_F(DetectionInput, ABoxOutsideThePictureIsClippedOrLeftOut) {
  box_of("train") = {-500, -500, 10, 10};
  const std::string notes = trained().err;
  expect_contains(notes, "1 training picture with boxes");
  expect_contains(notes,
                  "train.json: 1 box lies outside its picture and nothing is learned from it, the first is "
                  "annotation id 10");
  box_of("train") = {-20, 50, 40, 500};
  expect_contains(trained().err, "2 training pictures with boxes");
}

TEST_F(DetectionInput, ABoxOfNegativeSides) {
  box_of("train") = {3, 4, -5, 7};
  expect_refused("train.json", "annotation 10: a box of -5 x 7");
  box_of("train") = {3, 4, 5, 7};
  box_of("val") = {3, 4, 5, -7};
  expect_refused("val.json", "annotation 30: a box of 5 x -7");
}

TEST_F(DetectionInput, APictureThatIsMissing) {
  std::filesystem::remove(work_ / "c/pictures/2.png");
  expect_refused("2.png", "(image id 2): no such file");
}

TEST_F(DetectionInput, APictureThatIsNone) {
  std::ofstream(work_ / "c/pictures/2.png") << "nothing";
  const Outcome outcome = run(training(), work_);  // found when it is looked at
  EXPECT_EQ(outcome.code, 3);
  expect_contains(outcome.err, "2.png: neither a JPEG nor a PNG file (image id 2)");
}

TEST_F(DetectionInput, AnUnknownCategory) {
  train_["annotations"][0]["category_id"] = 8;
  expect_refused("train.json", "annotation 10 is of category 8");
}

TEST_F(DetectionInput, AnUnknownImage) {
  train_["annotations"][0]["image_id"] = 5;
  expect_refused("train.json", "annotation 10 is of image 5");
}

TEST_F(DetectionInput, TwoImagesOfOneId) {
  train_["images"][1]["id"] = 1;
  train_["annotations"][1]["image_id"] = 1;
  expect_refused("train.json", "image 1 stands in the file twice");
}

TEST_F(DetectionInput, PicturesOfOnePixelAreTrainedOnAndTested) {
  make_pictures(1);
  const json result = json::parse(trained().out);
  EXPECT_EQ(result["status"], "finished");
}

TEST_F(DetectionInput, NoBoxesToLearnFrom) {
  train_["annotations"] = json::array();
  expect_refused("train.json", "there is no box to learn from");
}

TEST_F(DetectionInput, NoBoxesToTestOnLeaveTheMetricsUndefinedAndNoBestEpoch) {
  val_["annotations"] = json::array();
  const json result = json::parse(trained().out);
  EXPECT_EQ(result["last"], -1);
  EXPECT_EQ(result["best"], nullptr);
  EXPECT_FALSE(std::filesystem::exists(work_ / "run/checkpoints/best.safetensors"));
  const json summary = json::parse(content_of(work_ / "run/summary.json"));
  EXPECT_EQ(summary["last"]["AP50"], -1);
  EXPECT_EQ(summary["best"], nullptr);
}

// As train does, and again where the study goes on. With one class and background methods compare two.
TEST_F(DetectionInput, AStudyFindsTheFilesThatItsSettingsName) {
  training();
  std::ofstream(work_ / "cells.toml") << R"(
    [settings]
    epochs = 1
    data.spec = "coco:c"
    data.train_json = "train.json"
    data.test_json = "val.json"
    data.images = "pictures"
    [teacher]
    model = "rcnn_tiny"
    [student]
    model = "rcnn_tiny"
    [[methods]]
    name = "ce"
    [[methods]]
    name = "kd")";
  const std::vector<std::string> compare = {"compare", "cells.toml", "--out", "study", "--json"};
  for (const auto& more : {std::vector<std::string>{}, std::vector<std::string>{"--resume"}}) {
    const json result = json::parse(run(compare + more, work_).out);
    const json& pair = result["pairs"][0];
    EXPECT_EQ(pair["teacher"]["status"], "finished");
    ASSERT_EQ(pair["rows"].size(), 2u);
    for (const json& row : pair["rows"]) EXPECT_EQ(row["runs"][0]["status"], "finished");
  }
}

}  // namespace
}  // namespace retort
