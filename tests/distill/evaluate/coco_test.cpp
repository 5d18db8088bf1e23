// COCO's average precision, against pycocotools (tests/data/coco.py).
#include "distill/evaluate/coco.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/atomic_file.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using Json = nlohmann::json;
using testing::TempFolder;

Json reference() {
  std::ifstream in(testing::data_folder() + "/coco.json");
  return Json::parse(in);
}

struct Files {
  std::filesystem::path annotations, results;
};

Files written(const Json& one, const TempFolder& work) {
  const Files files{work / "annotations.json", work / "results.json"};
  write_file(files.annotations, one["annotations"].dump());
  write_file(files.results, one["results"].dump());
  return files;
}

TEST(CocoScores, ArePycocotools) {
  const TempFolder work;
  int number = 0;
  const Json all = reference();
  for (const Json& one : all["cases"]) {
    SCOPED_TRACE(::testing::Message() << "case " << number++);
    const Files files = written(one, work);
    const CocoAnnotations annotations = read_coco_annotations(files.annotations);
    const CocoScores scores =
        coco_scores(annotations, read_coco_results(files.results, annotations).detections);
    for (const NamedCocoScore& score : named_coco_scores())
      EXPECT_NEAR(scores.*score.value, one["scores"][score.name].get<double>(), 1e-12) << score.name;
    ASSERT_EQ(scores.classes.size(), one["scores"]["classes"].size());
    for (size_t c = 0; c < scores.classes.size(); ++c) {
      const Json& expected = one["scores"]["classes"][c];
      EXPECT_EQ(scores.classes[c].id, expected["id"]);
      EXPECT_NEAR(scores.classes[c].ap, expected["AP"].get<double>(), 1e-12);
      EXPECT_NEAR(scores.classes[c].ap50, expected["AP50"].get<double>(), 1e-12);
      EXPECT_NEAR(scores.classes[c].ap75, expected["AP75"].get<double>(), 1e-12);
    }
  }
  EXPECT_EQ(number, 40);
}

CocoAnnotations one_box(int64_t id, bool crowd) {
  CocoAnnotations a;
  a.images = {{7, "a.jpg", 100, 100}};
  a.categories = {{3, "cell"}};
  a.annotations = {{id, 7, 3, {10, 10, 40, 40}, 1600, crowd}};
  return a;
}

TEST(CocoScores, AnAnnotationOfId0CountsAsAnyOther) {
  EXPECT_NEAR(coco_scores(one_box(0, false), {{7, 3, {10, 10, 40, 40}, .9}}).ap, 1, 1e-12);
  EXPECT_NEAR(coco_scores(one_box(1, false), {{7, 3, {10, 10, 40, 40}, .9}}).ap, 1, 1e-12);
}

TEST(CocoScores, NothingAnnotatedIsUndefinedNothingFoundIsNothing) {
  CocoAnnotations none = one_box(1, false);
  none.annotations.clear();
  EXPECT_EQ(coco_scores(none, {{7, 3, {10, 10, 40, 40}, .9}}).ap, -1);
  EXPECT_EQ(coco_scores(one_box(1, true), {}).ap, -1);
  const CocoScores missed = coco_scores(one_box(1, false), {});
  EXPECT_EQ(missed.ap, 0);
  EXPECT_EQ(missed.ar100, 0);
  EXPECT_EQ(missed.ap_large, -1);
}

TEST(CocoIou, OfACrowdIsTheDetectionsShare) {
  EXPECT_DOUBLE_EQ(coco_iou({0, 0, 10, 10}, {5, 0, 10, 10}, false), 50. / 150);
  EXPECT_DOUBLE_EQ(coco_iou({0, 0, 10, 10}, {5, 0, 100, 100}, true), .5);
  EXPECT_EQ(coco_iou({0, 0, 10, 10}, {10, 0, 10, 10}, false), 0);
  EXPECT_EQ(coco_iou({0, 0, 0, 0}, {0, 0, 0, 0}, false), 0);
}

TEST(Program, CocoEvalPrintsTheTwelveNumbersAndEveryClass) {
  const TempFolder work;
  const Json one = reference()["cases"][2];
  written(one, work);
  const testing::Outcome result =
      testing::run({"coco-eval", "annotations.json", "results.json", "--json"}, work);
  ASSERT_EQ(result.code, 0) << result.err;
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json.size(), 14u);
  for (const NamedCocoScore& score : named_coco_scores())
    EXPECT_NEAR(json[score.name].get<double>(), one["scores"][score.name].get<double>(), 1e-12) << score.name;
  ASSERT_EQ(json["classes"].size(), one["scores"]["classes"].size());
  EXPECT_TRUE(json["classes"][0].contains("name"));
  EXPECT_EQ(testing::run({"coco-eval", "annotations.json"}, work).code, 2);
  EXPECT_EQ(testing::run({"coco-eval", "annotations.json", "none.json"}, work).code, 3);
}

}  // namespace
}  // namespace retort
