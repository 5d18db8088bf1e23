// What detectors are trained on, as people bring it: each thing that is wrong with it is told with its file
// and id.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "datasets/formats/png_writer.h"
#include "engine/base/check.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/page.h"
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

// So that loose photos' results have the data's own numbers.
TEST_F(DetectionInput, WeightsKeepTheIdsOfTheCategories) {
  trained();
  EXPECT_EQ(read_safetensors_metadata(work_ / "run/checkpoints/last.safetensors")["category_ids"], "[7]");
  const Outcome found =
      run({"predict", "--weights", "run", "--score", "0", "-o", "r.json", "c/pictures/3.png"}, work_);
  EXPECT_EQ(found.code, 0) << found.err;
  const json results = json::parse(content_of(work_ / "r.json"));
  ASSERT_FALSE(results.empty());
  for (const json& one : results) EXPECT_EQ(one["category_id"], 7);
}

TEST_F(DetectionInput, NoBoxesToLearnFrom) {
  train_["annotations"] = json::array();
  expect_refused("train.json", "there is no box to learn from");
}

TEST_F(DetectionInput, NoBoxesToTestOnLeaveTheMetricsUndefinedAndNoBestEpoch) {
  val_["annotations"] = json::array();
  const Outcome outcome = trained();
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["last"], -1);
  EXPECT_EQ(result["best"], nullptr);
  EXPECT_FALSE(std::filesystem::exists(work_ / "run/checkpoints/best.safetensors"));
  const json summary = json::parse(content_of(work_ / "run/summary.json"));
  EXPECT_EQ(summary["last"]["AP50"], -1);
  EXPECT_EQ(summary["best"], nullptr);

  // COCO's -1 stands in files; people are told that there is none.
  const std::string why = "was not measured: the test images hold no box to find.";
  expect_contains(outcome.err, "AP -  AP50 -  AP75 -");
  expect_contains(content_of(work_ / "run/plots/curves.svg"), why);
  expect_contains(run({"ls", "run"}, work_).out, " -     -     finished");
  expect_contains(run({"diff", "run", "run"}, work_).out, "-, epoch 1");
  expect_contains(run({"train", "--resume", "run"}, work_).out, "last  AP -, AP50 -, AP75 -, epoch 1");
  const Outcome reported = run({"report", "run"}, work_);
  EXPECT_EQ(reported.code, 0) << reported.err;
  const std::string html = content_of(work_ / "run/report.html");
  EXPECT_EQ(flaw_of(html), "");
  expect_contains(html, "<p class=\"about\">AP, as COCO scores it, " + why);
  EXPECT_FALSE(std::filesystem::exists(work_ / "run/headline.png"));
  // And of the report alone.
  std::filesystem::create_directory(work_ / "published");
  std::filesystem::copy(work_ / "run/report.json", work_ / "published/report.json");
  const json again = json::parse(run({"report", "published", "--out", "page", "--json"}, work_).out);
  EXPECT_EQ(again["pairs"][0]["rows"][0]["runs"][0]["status"], "finished");
  EXPECT_EQ(again["pairs"][0]["rows"][0]["last"]["n"], 0);
}

// Of a teacher, a student alone and one with kd: with one class and background methods compare two.
class StudyOfBoxes : public DetectionInput {
 protected:
  std::vector<std::string> compare() {
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
    return {"compare", "cells.toml", "--out", "study"};
  }
};

// As train does, and again where the study goes on.
TEST_F(StudyOfBoxes, FindsTheFilesThatItsSettingsName) {
  const std::vector<std::string> begin = compare() + Strings{"--json"};
  for (const auto& more : {std::vector<std::string>{}, std::vector<std::string>{"--resume"}}) {
    const json result = json::parse(run(begin + more, work_).out);
    const json& pair = result["pairs"][0];
    EXPECT_EQ(pair["teacher"]["status"], "finished");
    ASSERT_EQ(pair["rows"].size(), 2u);
    for (const json& row : pair["rows"]) EXPECT_EQ(row["runs"][0]["status"], "finished");
  }
}

TEST_F(StudyOfBoxes, WithoutBoxesToTestOnHasNoNumbersAndAReport) {
  val_["annotations"] = json::array();
  const Outcome study = run(compare(), work_);
  ASSERT_EQ(study.code, 0) << study.err;
  const std::string why = "was not measured: the test images hold no box to find.";
  expect_contains(study.out, why);
  expect_contains(study.err, "best -, last -");
  expect_contains(study.err, "AP -  ");
  for (const std::string* all : {&study.out, &study.err})
    EXPECT_EQ(all->find(" -1"), std::string::npos) << *all;
  const json result =
      json::parse(run({"compare", "cells.toml", "--out", "study", "--resume", "--json"}, work_).out);
  const json& row = result["pairs"][0]["rows"][1];
  EXPECT_EQ(row["last"], nullptr);
  EXPECT_EQ(row["n"], 0);
  EXPECT_EQ(row["runs"][0]["last"], -1);
  EXPECT_GT(row["seconds"].get<double>(), 0);

  const Outcome reported = run({"report", "study"}, work_);
  ASSERT_EQ(reported.code, 0) << reported.err;
  expect_contains(reported.out, why);
  const std::string html = content_of(work_ / "study/report.html");
  EXPECT_EQ(flaw_of(html), "");
  expect_contains(html, why);
  for (const char* number : {"-1.00", "−1.00", "± 0.00"})
    EXPECT_EQ(html.find(number), std::string::npos) << number;
  EXPECT_EQ(html.find("Where the distillation pushes"), std::string::npos) << "nothing is pushed";
}

}  // namespace
}  // namespace retort
