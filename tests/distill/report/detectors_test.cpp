// The page of a study of detectors: precision by class, the same pictures as everybody sees them, and where
// the distillation pushes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "distill/report/detector_evaluations.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::content_of;
using testing::expect_contains;
using testing::run;
using testing::TempFolder;

size_t count(const std::string& in, const std::string& what) {
  size_t found = 0;
  for (size_t at = 0; (at = in.find(what, at)) != in.npos; ++at) ++found;
  return found;
}

TEST(ReportDetectors, OfAStudyOnScenes) {
  TempFolder work;
  work.write("tiny.toml", R"(
title = "boxes"
[settings]
epochs = 1
data.spec = "scenes:train=16,test=6"
[teacher]
model = "rcnn_tiny"
[student]
model = "rcnn_tiny"
[[methods]]
name = "ce"
[[methods]]
name = "kd"
[[methods]]
name = "pcd"
)");
  const auto made = run({"compare", "tiny.toml", "--out", "s"}, work);
  ASSERT_EQ(made.code, 0) << made.err;
  const auto first = run({"report", "s"}, work);
  ASSERT_EQ(first.code, 0) << first.err;
  expect_contains(first.out, "AP, as COCO scores it");
  const std::string html = content_of(work / "s/report.html");
  expect_contains(html, "AP, as COCO scores it");
  expect_contains(html, "Boxes, class by class");
  expect_contains(html, "<p class=\"lead\">Scenes drawn by the program, ");
  expect_contains(html, "Where the distillation pushes");
  EXPECT_EQ(html.find("Does it help where the teacher is unsure"), std::string::npos);  // is about labels
  // Three pictures, each as it is, by the teacher, alone, and by two distilled students; drawn ones are
  // shown, once each.
  EXPECT_EQ(count(html, "<h3>Test picture "), 3u);
  EXPECT_EQ(count(html, "<b><span class=\"swatch c-truth\""), 3u);
  EXPECT_EQ(count(html, "data:image/bmp;base64,"), 3u);
  EXPECT_EQ(count(html, "what is there</b>"), 3u);
  // A name ends where its picture does: beside it there is another one. Of 11 pixels, in bold.
  const std::regex name("<text x=\"([0-9.]+)\" [^>]*text-anchor=\"start\" class=\"box-name\">([^<]*)<");
  int names = 0;
  for (auto found = std::sregex_iterator(html.begin(), html.end(), name); found != std::sregex_iterator();
       ++found) {
    EXPECT_LT(std::stod((*found)[1]) + 6.5 * double((*found)[2].length()), 330) << found->str();
    ++names;
  }
  EXPECT_GT(names, 6);
  expect_contains(html, "text-anchor=\"end\" class=\"box-name\"");

  const json result = json::parse(content_of(work / "s/report.json"));
  const json& boxes = result["pairs"][0]["boxes"];
  EXPECT_EQ(boxes["names"].size(), 24u);
  EXPECT_EQ(boxes["teacher_ap"].size(), 24u);
  EXPECT_EQ(boxes["ap"]["pcd"].size(), 24u);
  ASSERT_EQ(boxes["push"].size(), 2u);  // the student alone is pushed by nobody
  for (const json& push : boxes["push"]) {
    EXPECT_EQ(push["pictures"], 6);
    EXPECT_GT(push["object_boxes"].get<int>(), 0);
    EXPECT_GT(push["background_boxes"].get<int>(), 0);
    EXPECT_GT(push["on_objects"].get<double>(), 0) << push.dump();
  }

  const std::string classes = content_of(work / "s/classes.csv");
  expect_contains(classes, "rcnn_tiny-rcnn_tiny,teacher rcnn_tiny,,");
  expect_contains(classes, ",pcd,1,");
  expect_contains(classes, ",AP,");

  // Kept: the second time gives the same page.
  const auto second = run({"report", "s", "--json"}, work);
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(content_of(work / "s/report.html"), html);
}

TEST(ReportDetectors, TheMeanOfARowIsOverItsRuns) {
  PairBoxes boxes;
  boxes.students = {{{0.2, -1}, {}, {0.4, -1}}, {{}}};
  EXPECT_NEAR(boxes.mean_of_row(0)[0], 0.3, 1e-12);
  EXPECT_EQ(boxes.mean_of_row(0)[1], -1);
  EXPECT_TRUE(boxes.mean_of_row(1).empty());
  Push push;
  push.on_objects = 3;
  push.on_background = 1;
  EXPECT_EQ(push.object_share(), 0.75);
}

// Photos are nobody's to show unless he says so.
TEST(ReportDetectors, PhotosAreLeftOutUnlessAskedFor) {
  TempFolder work;
  ASSERT_EQ(run({"data", "export", "scenes:train=8,test=4", "coco"}, work).code, 0);
  ASSERT_EQ(
      run({"train", "--model", "rcnn_tiny", "--data", "coco:coco", "--epochs", "1", "--out", "r/t"}, work)
          .code,
      0);
  const auto plain = run({"report", "r"}, work);
  ASSERT_EQ(plain.code, 0) << plain.err;
  const std::string html = content_of(work / "r/report.html");
  EXPECT_EQ(count(html, "data:image"), 0u);
  expect_contains(html, "The pictures themselves are left out");
  const auto shown = run({"report", "r", "--images"}, work);
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(count(content_of(work / "r/report.html"), "data:image"), 3u);
}

}  // namespace
}  // namespace retort
